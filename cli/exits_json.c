/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "exits_show.h"
#include "json.h"

static struct json_object *histogram(const struct vpmu_exit *exit)
{
	struct json_object *buckets = json_new_array();

	for (unsigned int i = 0; i < VPMU_EXIT_BUCKETS; i++) {
		struct json_object *bucket;

		if (!exit->buckets[i])
			continue;
		bucket = json_new_object();
		if (vpmu_exit_bucket_ns(i) == UINT64_MAX)
			json_put_null(bucket, "below_ns");
		else
			json_put_int(bucket, "below_ns", (int64_t)vpmu_exit_bucket_ns(i));
		json_put_int(bucket, "count", (int64_t)exit->buckets[i]);
		json_append(buckets, bucket);
	}
	return buckets;
}

/* The member that a key adds: numbers where they are numbers to a person, else text. */
static void put_value(struct json_object *row, struct vpmu_exits *exits, const struct vpmu_exit *exit)
{
	const char *key = vpmu_exit_key_name(exit->key);
	struct vpmu_frame frame;

	switch (exit->key) {
	case VPMU_EXIT_REASON:
		return;
	case VPMU_EXIT_ADDRESS:
		/* A guest's guest has other symbols. */
		frame = (struct vpmu_frame){ .status = VPMU_FRAME_NO_SYMBOLS };
		if (!exit->nested)
			vpmu_exits_symbol(exits, exit->guest, exit->value, &frame);
		json_put_address(row, key, exit->value);
		json_put_string(row, "symbol", frame.symbol);
		json_put_string(row, "dso", frame.dso);
		json_put_string(row, "status", vpmu_frame_status_name(frame.status));
		return;
	case VPMU_EXIT_MSR:
	case VPMU_EXIT_PORT:
	case VPMU_EXIT_MMIO:
		json_put_address(row, key, exit->value);
		json_put_bool(row, "write", exit->write);
		if (exit->key == VPMU_EXIT_MSR) {
			json_put_string(row, "name", exit->name);
			json_put_bool(row, "zero", exit->zero);
		}
		return;
	case VPMU_EXIT_ANCILLARY:
		json_put_string(row, "trip", exit->name);
		return;
	default:
		json_put_string(row, key, exit->name);
	}
}

static struct json_object *row_to_json(struct vpmu_exits *exits, const struct vpmu_exit_rows *rows,
				       const struct vpmu_exit *exit)
{
	struct json_object *row = json_new_object();

	json_put_string(row, "guest", vpmu_exits_guest(exits, exit->guest)->name);
	json_put_int(row, "vcpu", exit->vcpu);
	json_put_int(row, "tid", exit->tid);
	json_put_string(row, "key", vpmu_exit_key_name(exit->key));
	json_put_string(row, "reason", exit->reason);
	json_put_int(row, "code", exit->code);
	json_put_bool(row, "nested", exit->nested);
	put_value(row, exits, exit);
	if (exit->key == VPMU_EXIT_ANCILLARY)
		json_put_percent(row, "per_trip", exits_per_trip(rows, exit));
	json_put_int(row, "count", (int64_t)exit->count);
	json_put_int(row, "untimed", (int64_t)exit->untimed);
	json_put_int(row, "total_ns", (int64_t)exit->total_ns);
	json_put_int(row, "min_ns", (int64_t)exit->min_ns);
	json_put_int(row, "max_ns", (int64_t)exit->max_ns);
	json_put_int(row, "qemu_ns", (int64_t)exit->user_ns);
	json_put_int(row, "blocked_ns", (int64_t)exit->blocked_ns);
	json_put_int(row, "preempted_ns", (int64_t)exit->preempted_ns);
	json_put_int(row, "poll_ns", (int64_t)exit->polled_ns);
	json_put(row, "histogram", histogram(exit));
	json_put_bool(row, "ended", exit->ended);
	return row;
}

struct json_object *exits_json(struct vpmu_exits *exits, const struct vpmu_exit_rows *rows,
			       unsigned int keys)
{
	struct json_object *reading = json_new_object(), *list = json_new_array();

	json_put_int(reading, "start_ns", (int64_t)rows->start_ns);
	json_put_int(reading, "end_ns", (int64_t)rows->end_ns);
	json_put_int(reading, "missed", (int64_t)rows->missed);
	json_put_int(reading, "unfit", (int64_t)rows->unfit);
	json_put_int(reading, "unsampled", (int64_t)rows->unsampled);
	json_put_int(reading, "lost_entries", (int64_t)rows->lost_entries);
	json_put_int(reading, "lost_exits", (int64_t)rows->lost_exits);
	json_put_string(reading, "silent", *vpmu_exits_silent(exits) ? vpmu_exits_silent(exits) : NULL);
	for (size_t i = 0; i < rows->n; i++)
		if (keys >> rows->items[i].key & 1)
			json_append(list, row_to_json(exits, rows, &rows->items[i]));
	json_put(reading, "rows", list);
	return reading;
}

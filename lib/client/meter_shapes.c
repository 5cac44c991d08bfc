/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "client/meter_shapes.h"
#include "util/macro.h"

static void put(struct json_object *object, const char *key, uint64_t value, enum shape_counts counts)
{
	if (counts == SHAPE_TEXT)
		json_put_big(object, key, value);
	else
		json_put_int(object, key, (int64_t)value);
}

/* ---- exits ---- */

unsigned int shape_keys(const char *name)
{
	unsigned int no_names = SHAPE_NESTED_KEYS | 1u << VPMU_EXIT_ADDRESS;

	if (streq(name, "symbol"))
		return 1u << VPMU_EXIT_ADDRESS;
	if (streq(name, "nested"))
		return SHAPE_NESTED_KEYS;
	for (unsigned int key = 0; key < VPMU_EXIT_KEY_COUNT; key++)
		if (!(no_names >> key & 1) && streq(name, vpmu_exit_key_name((enum vpmu_exit_key)key)))
			return 1u << key;
	return 0;
}

static bool same_vcpu(const struct vpmu_exit *a, const struct vpmu_exit *b)
{
	return a->guest == b->guest && a->vcpu == b->vcpu && a->tid == b->tid;
}

const struct vpmu_exit *shape_nested_row(const struct vpmu_exit_rows *rows, const struct vpmu_exit *of,
					 enum vpmu_exit_key key, uint32_t code)
{
	for (size_t i = 0; i < rows->n; i++)
		if (rows->items[i].key == key && rows->items[i].nested && rows->items[i].code == code &&
		    same_vcpu(&rows->items[i], of))
			return &rows->items[i];
	return NULL;
}

uint32_t shape_trip_code(const struct vpmu_exit *ancillary)
{
	return (uint32_t)(ancillary->value >> 32);
}

double shape_per_trip(const struct vpmu_exit_rows *rows, const struct vpmu_exit *exit)
{
	const struct vpmu_exit *trip = shape_nested_row(rows, exit, VPMU_EXIT_TRIP, shape_trip_code(exit));

	return trip ? (double)exit->count / (double)trip->count : 0;
}

static struct json_object *histogram(const struct vpmu_exit *exit, enum shape_counts counts)
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
			put(bucket, "below_ns", vpmu_exit_bucket_ns(i), counts);
		put(bucket, "count", exit->buckets[i], counts);
		json_append(buckets, bucket);
	}
	return buckets;
}

/* The member that a key adds: numbers where they are numbers to a person, else text. */
static void put_value(struct json_object *row, const struct vpmu_exit *exit, const struct vpmu_frame *frame)
{
	const char *key = vpmu_exit_key_name(exit->key);

	switch (exit->key) {
	case VPMU_EXIT_REASON:
		return;
	case VPMU_EXIT_ADDRESS:
		json_put_address(row, key, exit->value);
		json_put_string(row, "symbol", frame->symbol);
		json_put_int(row, "symbol_offset", (int64_t)frame->symbol_offset);
		json_put_string(row, "dso", frame->dso);
		json_put_string(row, "status", vpmu_frame_status_name(frame->status));
		return;
	case VPMU_EXIT_MSR:
	case VPMU_EXIT_PORT:
	case VPMU_EXIT_MMIO:
		json_put_address(row, key, exit->value);
		json_put_bool(row, "write", exit->write);
		if (exit->key == VPMU_EXIT_MSR) {
			json_put_string(row, "name", exit->name);
			json_put_bool(row, "zero", exit->zero);
			json_put_string(row, "pmu", *exit->pmu ? exit->pmu : NULL);
		}
		return;
	case VPMU_EXIT_ANCILLARY:
		json_put_string(row, "trip", exit->name);
		json_put_int(row, "trip_code", shape_trip_code(exit));
		return;
	default:
		json_put_string(row, key, exit->name);
	}
}

struct json_object *shape_exit(const struct vpmu_exit *exit, const char *guest, const struct vpmu_frame *frame,
			       const struct vpmu_exit_rows *rows, enum shape_counts counts)
{
	struct json_object *row = json_new_object();

	json_put_string(row, "guest", guest);
	json_put_int(row, "vcpu", exit->vcpu);
	json_put_int(row, "tid", exit->tid);
	json_put_string(row, "key", vpmu_exit_key_name(exit->key));
	json_put_string(row, "reason", exit->reason);
	json_put_int(row, "code", exit->code);
	json_put_bool(row, "nested", exit->nested);
	put_value(row, exit, frame);
	if (exit->key == VPMU_EXIT_ANCILLARY)
		json_put_percent(row, "per_trip", shape_per_trip(rows, exit));
	put(row, "count", exit->count, counts);
	put(row, "untimed", exit->untimed, counts);
	put(row, "total_ns", exit->total_ns, counts);
	put(row, "min_ns", exit->min_ns, counts);
	put(row, "max_ns", exit->max_ns, counts);
	put(row, "qemu_ns", exit->user_ns, counts);
	put(row, "blocked_ns", exit->blocked_ns, counts);
	put(row, "preempted_ns", exit->preempted_ns, counts);
	put(row, "poll_ns", exit->polled_ns, counts);
	json_put(row, "histogram", histogram(exit, counts));
	json_put_bool(row, "ended", exit->ended);
	return row;
}

void shape_exit_losses(struct json_object *object, const struct vpmu_exit_rows *rows, const char *silent,
		       enum shape_counts counts)
{
	put(object, "missed", rows->missed, counts);
	put(object, "unfit", rows->unfit, counts);
	put(object, "unsampled", rows->unsampled, counts);
	put(object, "lost_entries", rows->lost_entries, counts);
	put(object, "lost_exits", rows->lost_exits, counts);
	json_put_string(object, "silent", *silent ? silent : NULL);
}

/* ---- times ---- */

static struct json_object *reasons(const struct vpmu_clock_vcpu *vcpu, enum shape_counts counts)
{
	struct json_object *list = json_new_array();

	for (size_t i = 0; i < vcpu->n_reasons; i++) {
		const struct vpmu_clock_reason *reason = &vcpu->reasons[i];
		struct json_object *object = json_new_object();

		json_put_string(object, "reason", reason->name);
		json_put_int(object, "code", reason->code);
		put(object, "count", reason->count, counts);
		put(object, "exit_ns", reason->exit_ns, counts);
		put(object, "qemu_ns", reason->qemu_ns, counts);
		json_append(list, object);
	}
	return list;
}

static struct json_object *competitors(const struct vpmu_clock_vcpu *vcpu,
				       const char *(*guest_of)(pid_t pid, const void *data), const void *data,
				       enum shape_counts counts)
{
	struct json_object *list = json_new_array();

	for (size_t i = 0; i < vcpu->n_competitors; i++) {
		const struct vpmu_clock_competitor *competitor = &vcpu->competitors[i];
		struct json_object *object = json_new_object();

		json_put_string(object, "comm", competitor->comm);
		json_put_int(object, "pid", competitor->pid);
		json_put_int(object, "tid", competitor->tid);
		json_put_string(object, "guest", guest_of(competitor->pid, data));
		put(object, "ns", competitor->ns, counts);
		json_append(list, object);
	}
	return list;
}

struct json_object *shape_clock(const struct vpmu_clock_vcpu *vcpu, const char *guest,
				const char *(*guest_of)(pid_t pid, const void *data), const void *data,
				enum shape_counts counts)
{
	struct json_object *object = json_new_object();
	uint64_t step_ns = 0;

	json_put_string(object, "guest", guest);
	json_put_int(object, "vcpu", vcpu->vcpu);
	json_put_int(object, "tid", vcpu->tid);
	json_put_bool(object, "ended", vcpu->ended);
	put(object, "start_ns", vcpu->start_ns, counts);
	put(object, "wall_ns", vcpu->wall_ns, counts);
	for (int part = 0; part < VPMU_CLOCK_PART_COUNT; part++) {
		const struct vpmu_clock_time *time = &vcpu->parts[part];
		char key[32];

		snprintf(key, sizeof(key), "%s_ns", vpmu_clock_part_name((enum vpmu_clock_part)part));
		if (time->known)
			put(object, key, time->ns, counts);
		else
			json_put_null(object, key);
		step_ns = time->step_ns ? time->step_ns : step_ns;
	}
	put(object, "step_ns", step_ns, counts);
	json_put_string(object, "why", vcpu->why);
	put(object, "unpaired", vcpu->unpaired, counts);
	json_put(object, "reasons", reasons(vcpu, counts));
	json_put(object, "competitors", competitors(vcpu, guest_of, data, counts));
	return object;
}

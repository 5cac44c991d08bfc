/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"
#include "stat_json.h"

static struct json_object *row_to_json(const struct stat_reading *reading,
				       const struct vpmu_count *count)
{
	struct json_object *row = json_new_object();

	json_put_string(row, "guest", reading->guests[count->guest]);
	json_put_int(row, "vcpu", count->vcpu);
	json_put_int(row, "tid", count->tid);
	json_put_string(row, "side", vpmu_sides_name(count->sides));
	json_put_string(row, "event", count->event);
	json_put_string(row, "unit", count->is_time ? "ns" : "count");
	if (count->status == VPMU_COUNT_OK || count->status == VPMU_COUNT_PARTIAL)
		json_put_big(row, "value", count->value);
	else
		json_put_null(row, "value");
	json_put_int(row, "step_ns", (int64_t)count->step_ns);
	json_put_bool(row, "scaled", count->scaled);
	/* A thread that did not run missed nothing. */
	json_put_percent(row, "running_percent",
			 count->enabled_ns
				 ? 100.0 * (double)count->running_ns / (double)count->enabled_ns
			 : count->status == VPMU_COUNT_UNAVAILABLE ? 0
								   : 100);
	json_put_string(row, "status", vpmu_count_status_name(count->status));
	json_put_string(row, "why", count->why);
	json_put_bool(row, "ended", count->ended);
	json_put_string(row, "base", count->base);
	if (count->base)
		json_put_percent(row, "percent", count->ratio * 100);
	else
		json_put_null(row, "percent");
	return row;
}

struct json_object *stat_json(const struct stat_reading *reading)
{
	struct json_object *interval = json_new_object(), *rows = json_new_array();

	json_put_int(interval, "start_ns", (int64_t)reading->counts.start_ns);
	json_put_int(interval, "end_ns", (int64_t)reading->counts.end_ns);
	for (size_t i = 0; i < reading->counts.n; i++)
		json_append(rows, row_to_json(reading, &reading->counts.items[i]));
	json_put(interval, "rows", rows);
	return interval;
}

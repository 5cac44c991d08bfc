/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>

#include "count_row.h"

/* A thread that did not run missed nothing. */
static double running_percent(const struct vpmu_count *count)
{
	if (count->enabled_ns)
		return 100.0 * (double)count->running_ns / (double)count->enabled_ns;
	return count->status == VPMU_COUNT_UNAVAILABLE ? 0 : 100;
}

struct json_object *count_row_json(const char *guest, const struct vpmu_count *count, const char *note)
{
	struct json_object *row = json_new_object();

	json_put_string(row, "guest", guest);
	json_put_int(row, "vcpu", count->vcpu);
	json_put_int(row, "tid", count->tid);
	json_put_string(row, "side", vpmu_sides_name(count->sides));
	json_put_string(row, "event", count->event);
	json_put_bool(row, "is_account", count->is_account);
	json_put_bool(row, "ended", count->ended);
	if (count->status == VPMU_COUNT_OK || count->status == VPMU_COUNT_PARTIAL)
		json_put_big(row, "value", count->value);
	else
		json_put_null(row, "value");
	json_put_bool(row, "is_time", count->is_time);
	json_put_big(row, "step_ns", count->step_ns);
	json_put_bool(row, "scaled", count->scaled);
	json_put_percent(row, "running_percent", running_percent(count));
	if (count->base) {
		json_put_string(row, "base", count->base);
		json_put(row, "ratio", json_object_new_double(count->ratio));
	}
	json_put_string(row, "status", vpmu_count_status_name(count->status));
	if (count->why || note)
		json_put_string(row, "why", count->why ? count->why : note);
	return row;
}

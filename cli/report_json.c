/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/shapes.h"
#include "report_json.h"
#include "stored.h"

static struct json_object *recording_json(const struct input *input)
{
	const struct vpmu_recording_info *info = vpmu_recording_info(input->recording);
	struct json_object *recording = json_new_object();

	json_put_string(recording, "file", input->path);
	json_put_string(recording, "hostname", info->hostname);
	json_put_string(recording, "os_release", info->os_release);
	json_put_string(recording, "producer", info->producer);
	if (info->damaged) {
		json_put_int(recording, "damage_offset", (int64_t)info->damage_offset);
		json_put_string(recording, "damage", info->damage);
	}
	return recording;
}

void report_json_begin(struct json_list *list, const struct input *input,
		       const struct vpmu_coverage *coverage)
{
	struct json_object *head = json_new_object();

	if (input->recording)
		json_put(head, "recording", recording_json(input));
	else
		json_put_string(head, "vpmud", input->path);
	if (input->time.minutes)
		json_put(head, "period", stored_time_json(input));
	json_put(head, "coverage", shape_coverage(coverage));
	json_list_begin(list, head, "rows");
}

struct json_object *report_json_event(const struct vpmu_report *report, const struct vpmu_event_info *event)
{
	struct json_object *object = json_new_object();
	struct vpmu_coverage coverage;

	vpmu_report_coverage(report, &coverage);
	json_put_string(object, "event", event ? event->name : NULL);
	json_put(object, "coverage", shape_coverage(&coverage));
	return object;
}

void report_json_rows(struct json_list *list, const struct vpmu_report *report,
		      const struct vpmu_event_info *event)
{
	for (size_t i = 0; vpmu_report_row(report, i); i++)
		json_list_item(list, shape_report_row(report, i, event ? event->name : NULL));
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "coverage.h"
#include "report_json.h"

void report_json_begin(struct json_list *list, const struct input *input,
		       const struct vpmu_coverage *coverage)
{
	const struct vpmu_recording_info *info = vpmu_recording_info(input->recording);
	struct json_object *head = json_new_object(), *recording = json_new_object();

	json_put_string(recording, "file", input->path);
	json_put_string(recording, "hostname", info->hostname);
	json_put_string(recording, "os_release", info->os_release);
	json_put_string(recording, "producer", info->producer);
	if (info->damaged) {
		json_put_int(recording, "damage_offset", (int64_t)info->damage_offset);
		json_put_string(recording, "damage", info->damage);
	}
	json_put(head, "recording", recording);
	json_put(head, "coverage", coverage_json(coverage));
	json_list_begin(list, head, "rows");
}

static struct json_object *chain_to_json(const struct vpmu_chain *chain)
{
	struct json_object *object = json_new_object(), *frames = json_new_array();

	for (size_t i = 0; i < chain->n_frames; i++) {
		const struct vpmu_frame *frame = chain->frames[i];
		struct json_object *item = json_new_object();

		json_put_string(item, "symbol", frame->symbol);
		json_put_string(item, "dso", frame->dso);
		json_put_string(item, "side", vpmu_side_name(frame->side));
		json_put_string(item, "status", vpmu_frame_status_name(frame->status));
		if (!frame->symbol)
			json_put_address(item, "address", frame->address);
		if (frame->src_file) {
			json_put_string(item, "file", frame->src_file);
			json_put_int(item, "line", frame->src_line);
		}
		json_append(frames, item);
	}
	json_put_int(object, "samples", (int64_t)chain->samples);
	json_put_big(object, "weight", chain->weight);
	json_put(object, "frames", frames);
	return object;
}

/* vCPUs are numbers wherever they appear; null where a row belongs to none. */
static void put_vcpu(struct json_object *object, const char *text)
{
	char *end;
	long index = strtol(text, &end, 10);

	if (*text && !*end && index >= 0)
		json_put_int(object, "vcpu", index);
	else
		json_put_null(object, "vcpu");
}

static void put_chains(struct json_object *object, const struct vpmu_report *report, size_t i)
{
	size_t n;
	const struct vpmu_chain *chains = vpmu_report_chains(report, i, &n);
	struct json_object *array;

	if (!n)
		return;
	array = json_new_array();
	for (size_t k = 0; k < n; k++)
		json_append(array, chain_to_json(&chains[k]));
	json_put(object, "chains", array);
}

struct json_object *report_json_event(const struct vpmu_report *report, const struct vpmu_event_info *event)
{
	struct json_object *object = json_new_object();
	struct vpmu_coverage coverage;

	vpmu_report_coverage(report, &coverage);
	json_put_string(object, "event", event ? event->name : NULL);
	json_put(object, "coverage", coverage_json(&coverage));
	return object;
}

void report_json_rows(struct json_list *list, const struct vpmu_report *report,
		      const struct vpmu_event_info *event)
{
	const struct vpmu_row *row;

	for (size_t i = 0; (row = vpmu_report_row(report, i)); i++) {
		struct json_object *object = json_new_object();

		json_put_string(object, "half", row->is_guest ? "guest" : "host");
		json_put_string(object, "event", event ? event->name : NULL);
		json_put_percent(object, "percent", row->percent);
		json_put_int(object, "samples", (int64_t)row->samples);
		json_put_big(object, "weight", row->weight);
		json_put_percent(object, "self_percent", row->self_percent);
		json_put_int(object, "self_samples", (int64_t)row->self_samples);
		json_put_big(object, "self_weight", row->self_weight);
		for (int key = 0; key < VPMU_KEY_COUNT; key++) {
			if (row->keys[key] && key == VPMU_KEY_VCPU)
				put_vcpu(object, row->keys[key]);
			else if (row->keys[key])
				json_put_string(object, vpmu_key_name(key), row->keys[key]);
		}
		if (row->keys[VPMU_KEY_SYMBOL])
			json_put_string(object, "status", vpmu_frame_status_name(row->status));
		put_chains(object, report, i);
		json_list_item(list, object);
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "client/shapes.h"

void shape_coverage_add(struct vpmu_coverage *into, const struct vpmu_coverage *from)
{
	into->samples += from->samples;
	into->resolved += from->resolved;
	into->opaque += from->opaque;
	for (int side = 0; side < VPMU_SIDE_COUNT; side++)
		into->sides[side] += from->sides[side];
}

struct json_object *shape_coverage(const struct vpmu_coverage *c)
{
	struct json_object *object = json_new_object(), *ends = json_new_object();

	json_put_int(object, "samples", (int64_t)c->samples);
	json_put_int(object, "guest", (int64_t)vpmu_coverage_guest(c));
	json_put_int(object, "host", (int64_t)vpmu_coverage_host(c));
	json_put_int(object, "resolved", (int64_t)c->resolved);
	json_put_int(object, "opaque", (int64_t)c->opaque);
	json_put_int(object, "lost", (int64_t)c->lost);
	json_put_int(object, "throttled", (int64_t)c->throttled);
	json_put_int(object, "truncated_chains", (int64_t)c->truncated_chains);
	json_put_int(object, "guest_processes", (int64_t)c->guest_processes);
	json_put_int(object, "guest_chains", (int64_t)c->guest_chains);
	json_put(object, "chain_ends", ends);
	for (int end = 0; end < VPMU_CHAIN_END_COUNT; end++)
		json_put_int(ends, vpmu_chain_end_name((enum vpmu_chain_end)end), (int64_t)c->chain_ends[end]);
	json_put_int(object, "damaged_records", (int64_t)c->damaged_records);
	json_put_int(object, "guests_not_linux", (int64_t)c->guests_not_linux);
	json_put_string(object, "source", c->source);
	return object;
}

static struct json_object *shape_chain(const struct vpmu_chain *chain)
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
		json_append(array, shape_chain(&chains[k]));
	json_put(object, "chains", array);
}

struct json_object *shape_row(const struct vpmu_row *row, const char *event)
{
	struct json_object *object = json_new_object();

	json_put_string(object, "half", row->is_guest ? "guest" : "host");
	json_put_string(object, "event", event);
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
			json_put_string(object, vpmu_key_name((enum vpmu_key)key), row->keys[key]);
	}
	if (row->keys[VPMU_KEY_SYMBOL])
		json_put_string(object, "status", vpmu_frame_status_name(row->status));
	return object;
}

struct json_object *shape_report_row(const struct vpmu_report *report, size_t i, const char *event)
{
	struct json_object *object = shape_row(vpmu_report_row(report, i), event);

	put_chains(object, report, i);
	return object;
}

struct json_object *shape_diff_row(const struct vpmu_diff_row *row)
{
	struct json_object *object = json_new_object();

	json_put_string(object, "symbol", row->symbol);
	json_put_string(object, "dso", row->dso);
	json_put_percent(object, "base_percent", row->base_percent);
	json_put_percent(object, "other_percent", row->other_percent);
	json_put_percent(object, "delta", row->delta);
	json_put_percent(object, "low", row->low);
	json_put_percent(object, "high", row->high);
	json_put_bool(object, "significant", row->significant);
	json_put_int(object, "base_samples", (int64_t)row->base_samples);
	json_put_int(object, "other_samples", (int64_t)row->other_samples);
	return object;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * profile.proto (github.com/google/pprof, proto/profile.proto), gzipped: what pprof, Pyroscope,
 * Parca and Cloud Profiler read.
 *
 *	Profile  = ValueType*  Sample*  Mapping*  Location*  Function*  string*
 *	Sample   = location ids (innermost first), one value per ValueType, Labels
 *	Location = an id, the Mapping it lies in, Lines; Line = Function id and line number
 *
 * Every text is an index into the string table, whose entry 0 must be "". Fields may come in any
 * order, so the file is written in one pass: samples first, then the locations they used, then the
 * mappings and functions those used, the strings last. What is not selected leaves no trace, not
 * even its name.
 *
 * One Location and one Line per frame: addresses of one symbol were folded long before, so a
 * Location's address is only set where it is all we have. A Mapping stands for a file; address
 * ranges differ from process to process and guest to guest and are left out, `has_functions` keeps
 * readers from looking for symbols by address.
 *
 * Readers add up frames of the same name, whatever their Location. So the side is part of a
 * Function's name, and a guest's files are called "guest:FILE": guest and host are never mixed.
 *
 * Label values are strings even for vCPUs: a number 0 reads as "no value" in proto3, and vCPU 0
 * would vanish.
 */
#include <errno.h>

#include "export/gzip.h"
#include "export/protobuf.h"
#include "export/writer.h"
#include "util/utf8.h"

/* Field numbers of profile.proto. */
enum {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING_TABLE = 6,
	PROFILE_DEFAULT_SAMPLE_TYPE = 14,
	VALUE_TYPE_TYPE = 1,
	VALUE_TYPE_UNIT = 2,
	SAMPLE_LOCATION_ID = 1,
	SAMPLE_VALUE = 2,
	SAMPLE_LABEL = 3,
	LABEL_KEY = 1,
	LABEL_STR = 2,
	MAPPING_ID = 1,
	MAPPING_FILENAME = 5,
	MAPPING_BUILD_ID = 6,
	MAPPING_HAS_FUNCTIONS = 7,
	MAPPING_HAS_FILENAMES = 8,
	MAPPING_HAS_LINE_NUMBERS = 9,
	LOCATION_ID = 1,
	LOCATION_MAPPING_ID = 2,
	LOCATION_ADDRESS = 3,
	LOCATION_LINE = 4,
	LINE_FUNCTION_ID = 1,
	LINE_LINE = 2,
	FUNCTION_ID = 1,
	FUNCTION_NAME = 2,
	FUNCTION_SYSTEM_NAME = 3,
	FUNCTION_FILENAME = 4,
};

struct pprof {
	struct export_job *job;
	struct gzip gzip;
	struct intern *strings;
	struct intern *mappings, *functions; /* of pairs of string numbers: their numbers are the ids */
	bool *used;			     /* by frame */
	bool failed;			     /* out of memory */
	struct strbuf message, inner, leaf;  /* scratch, by depth of nesting */
};

static uint32_t checked(struct pprof *p, uint32_t id)
{
	if (id == INTERN_FAILED)
		p->failed = true;
	return id;
}

/* Clobbers `leaf`. */
static uint32_t string_id(struct pprof *p, const char *s)
{
	strbuf_clear(&p->leaf);
	utf8_add(&p->leaf, s);
	return checked(p, intern_add_bytes(p->strings, p->leaf.n ? p->leaf.text : "", p->leaf.n));
}

static uint32_t view_string_id(struct pprof *p, uint32_t view_string)
{
	return string_id(p, intern_string(p->job->view.strings, view_string));
}

/* Writes `message` as a field of the Profile. */
static void put_message(struct pprof *p, unsigned int field)
{
	strbuf_clear(&p->leaf);
	pb_message(&p->leaf, field, &p->message);
	p->failed |= p->message.failed || p->inner.failed || p->leaf.failed;
	if (!p->failed)
		gzip_add(&p->gzip, p->leaf.text, p->leaf.n);
}

static void put_value_type(struct pprof *p, const char *type, const char *unit)
{
	uint32_t type_id = string_id(p, type), unit_id = string_id(p, unit);

	strbuf_clear(&p->message);
	pb_number(&p->message, VALUE_TYPE_TYPE, type_id);
	pb_number(&p->message, VALUE_TYPE_UNIT, unit_id);
	put_message(p, PROFILE_SAMPLE_TYPE);
}

static void put_sample_types(struct pprof *p)
{
	const char *weight = p->job->opts.is_clock ? "cpu" : "weight";
	const char *by_default = p->job->opts.by_weight ? weight : "samples";

	put_value_type(p, "samples", "count");
	put_value_type(p, weight, p->job->opts.is_clock ? "nanoseconds" : "count");
	strbuf_clear(&p->message);
	pb_number(&p->message, PROFILE_DEFAULT_SAMPLE_TYPE, string_id(p, by_default));
	p->failed |= p->message.failed;
	if (!p->failed)
		gzip_add(&p->gzip, p->message.text, p->message.n);
}

/* Appends a Label to `message`; an empty value means there is nothing to say. */
static void add_label(struct pprof *p, const char *key, const char *value)
{
	uint32_t key_id, value_id;

	if (!value[0])
		return;
	key_id = string_id(p, key);
	value_id = string_id(p, value);
	strbuf_clear(&p->inner);
	pb_number(&p->inner, LABEL_KEY, key_id);
	pb_number(&p->inner, LABEL_STR, value_id);
	pb_message(&p->message, SAMPLE_LABEL, &p->inner);
}

static void add_labels(struct pprof *p, const struct profile_entry *e)
{
	const struct profile_view *view = &p->job->view;
	char vcpu[16];

	if (e->guest != VPMU_NO_GUEST) {
		add_label(p, "guest", intern_string(view->strings, view->guests[e->guest].name));
		add_label(p, "guest_uuid", intern_string(view->strings, view->guests[e->guest].uuid));
	}
	if (e->vcpu != VPMU_NO_VCPU) {
		snprintf(vcpu, sizeof(vcpu), "%u", e->vcpu);
		add_label(p, "vcpu", vcpu);
	}
	add_label(p, "side", vpmu_side_name(e->side));
	add_label(p, "process", intern_string(view->strings, e->process));
}

static void put_sample(struct pprof *p, const struct profile_entry *e)
{
	size_t n;
	const uint32_t *frames = export_stack(&p->job->view, e, &n);

	strbuf_clear(&p->message);
	strbuf_clear(&p->inner);
	for (size_t i = 0; i < n; i++) {
		p->used[frames[i]] = true;
		varint_add(&p->inner, frames[i] + 1ull);
	}
	pb_message(&p->message, SAMPLE_LOCATION_ID, &p->inner);
	strbuf_clear(&p->inner);
	varint_add(&p->inner, MIN(e->samples, (uint64_t)INT64_MAX));
	varint_add(&p->inner, MIN(e->weight, (uint64_t)INT64_MAX));
	pb_message(&p->message, SAMPLE_VALUE, &p->inner);
	add_labels(p, e);
	put_message(p, PROFILE_SAMPLE);
}

/* The number of a pair, from 1 on; *ret_new tells whether it is the first of its kind. */
static uint32_t pair_id(struct pprof *p, struct intern *pairs, uint32_t a, uint32_t b, bool *ret_new)
{
	uint32_t pair[2] = { a, b }, before = intern_count(pairs);
	uint32_t id = checked(p, intern_add_bytes(pairs, (const char *)pair, sizeof(pair)));

	*ret_new = intern_count(pairs) > before;
	return id;
}

static uint32_t put_mapping(struct pprof *p, const struct profile_frame *frame)
{
	bool of_guest = VPMU_SIDES_GUEST & 1u << frame->side, is_new;
	uint32_t dso, build_id = view_string_id(p, frame->build_id), id;

	strbuf_clear(&p->inner);
	strbuf_adds(&p->inner, of_guest ? "guest:" : "");
	strbuf_adds(&p->inner, intern_string(p->job->view.strings, frame->dso));
	p->failed |= p->inner.failed;
	dso = string_id(p, p->failed ? "" : p->inner.text);
	id = pair_id(p, p->mappings, dso, build_id, &is_new);
	if (!is_new)
		return id;
	strbuf_clear(&p->message);
	pb_number(&p->message, MAPPING_ID, id);
	pb_number(&p->message, MAPPING_FILENAME, dso);
	pb_number(&p->message, MAPPING_BUILD_ID, build_id);
	pb_number(&p->message, MAPPING_HAS_FUNCTIONS, true);
	pb_number(&p->message, MAPPING_HAS_FILENAMES, true);
	pb_number(&p->message, MAPPING_HAS_LINE_NUMBERS, true);
	put_message(p, PROFILE_MAPPING);
	return id;
}

static uint32_t put_function(struct pprof *p, const struct profile_frame *frame)
{
	uint32_t name, symbol = view_string_id(p, frame->symbol);
	uint32_t file = view_string_id(p, frame->src_file), id;
	bool is_new;

	strbuf_clear(&p->inner);
	export_frame_name(&p->job->view, frame, &p->inner);
	p->failed |= p->inner.failed;
	name = string_id(p, p->failed ? "" : p->inner.text);
	id = pair_id(p, p->functions, name, file, &is_new);
	if (!is_new)
		return id;
	strbuf_clear(&p->message);
	pb_number(&p->message, FUNCTION_ID, id);
	pb_number(&p->message, FUNCTION_NAME, name);
	pb_number(&p->message, FUNCTION_SYSTEM_NAME, symbol);
	pb_number(&p->message, FUNCTION_FILENAME, file);
	put_message(p, PROFILE_FUNCTION);
	return id;
}

static void put_location(struct pprof *p, uint32_t index)
{
	const struct profile_frame *frame = &p->job->view.frames[index];
	const char *symbol = intern_string(p->job->view.strings, frame->symbol);
	uint32_t mapping = put_mapping(p, frame), function = put_function(p, frame);

	strbuf_clear(&p->message);
	pb_number(&p->message, LOCATION_ID, index + 1ull);
	pb_number(&p->message, LOCATION_MAPPING_ID, mapping);
	if (frame->status != VPMU_FRAME_OK)
		pb_number(&p->message, LOCATION_ADDRESS, strtoull(symbol, NULL, 16));
	strbuf_clear(&p->inner);
	pb_number(&p->inner, LINE_FUNCTION_ID, function);
	pb_number(&p->inner, LINE_LINE, frame->src_line);
	pb_message(&p->message, LOCATION_LINE, &p->inner);
	put_message(p, PROFILE_LOCATION);
}

static void put_all(struct pprof *p, const export_entries *entries)
{
	const struct output *out = &p->job->out;

	put_sample_types(p);
	for (size_t i = 0; i < entries->n && !p->failed && !out->error; i++)
		put_sample(p, &entries->items[i]);
	for (size_t i = 0; i < p->job->view.n_frames && !p->failed && !out->error; i++)
		if (p->used[i])
			put_location(p, (uint32_t)i);
	for (uint32_t i = 0; i < intern_count(p->strings) && !p->failed && !out->error; i++) {
		strbuf_clear(&p->message);
		strbuf_adds(&p->message, intern_string(p->strings, i));
		put_message(p, PROFILE_STRING_TABLE);
	}
	if (!p->failed)
		gzip_finish(&p->gzip);
}

static void pprof_deinit(struct pprof *p)
{
	intern_free(p->strings);
	intern_free(p->mappings);
	intern_free(p->functions);
	free(p->used);
	strbuf_deinit(&p->message);
	strbuf_deinit(&p->inner);
	strbuf_deinit(&p->leaf);
}

static int write_pprof(struct export_job *job)
{
	_cleanup_(pprof_deinit) struct pprof p = {
		.job = job,
		.strings = intern_new(),
		.mappings = intern_new(),
		.functions = intern_new(),
		.used = calloc(job->view.n_frames + 1, sizeof(*p.used)),
	};
	_free_ struct profile_entry *owned = NULL;
	export_entries entries = {};

	if (!p.strings || !p.mappings || !p.functions || !p.used ||
	    export_collect(job, EXPORT_BY_VCPU | EXPORT_BY_SIDE | EXPORT_BY_PROCESS, &entries) < 0)
		return -ENOMEM;
	owned = entries.items;
	if (gzip_init(&p.gzip, &job->out) < 0)
		return -ENOMEM;
	put_all(&p, &entries);
	gzip_deinit(&p.gzip);
	return p.failed ? -ENOMEM : 0;
}

const struct export_writer export_pprof = { .name = "pprof", .write = write_pprof };

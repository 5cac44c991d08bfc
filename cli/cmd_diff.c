/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmu diff: what takes another share here than there, with error bars, so that noise is not read
 * as a change.
 *
 *	one recording			its host side (base) against its guest side (other)
 *	one recording, two guests	the second guest against the first
 *	two recordings			the second against the first; of the named guests, if any
 *	a period of vpmud's store	like one recording
 *	--base				the period against an earlier one of the same length
 */
#include <inttypes.h>
#include <stdio.h>
#include <vpmu/vpmu.h>

#include "client/shapes.h"
#include "util/cleanup.h"
#include "util/macro.h"
#include "command.h"
#include "coverage.h"
#include "input.h"
#include "json.h"
#include "new_file.h"
#include "output.h"
#include "sides.h"
#include "stored.h"
#include "table.h"
#include "text.h"

struct diff_args {
	struct common_args common;
	struct input_args input;
	struct guest_file_args files;
	struct side_args side;
	struct stored_args stored;
	const char *event, *flamegraph;
	uint64_t limit;
	double min_percent;
	bool by_dso;
};

#define FIELD(name) offsetof(struct diff_args, name)

static const struct option_spec diff_options[] = {
	{ .name = "event", .arg = "EVENT", .set = option_string, .offset = FIELD(event),
	  .help = "which event, by name or number (default: the one with most samples on both sides)" },
	{ .name = "by-dso", .set = option_flag, .max = 1, .offset = FIELD(by_dso),
	  .help = "match by DSO and symbol (default: by symbol alone, which pairs host and guest kernels)" },
	{ .letter = 'n', .name = "limit", .arg = "N", .set = option_u64, .max = UINT32_MAX,
	  .offset = FIELD(limit), .help = "rows at most (default 0: all)" },
	{ .name = "percent-limit", .arg = "PERCENT", .set = option_percent, .offset = FIELD(min_percent),
	  .help = "leave out what is below PERCENT on both sides (default 0)" },
	{ .name = "flamegraph", .arg = "FILE", .set = option_string, .offset = FIELD(flamegraph),
	  .help = "write a flame graph too, an HTML page coloured by what changed" },
	{},
};

/* One half of a comparison. */
struct part {
	struct input *input;
	const struct vpmu_profile *profile;
	unsigned int sides;
	const char *const *guests;
	size_t n_guests;
	const char *called; /* the guest, as the user calls it; NULL = all of them */
	uint32_t event;
	struct strbuf label;
	struct vpmu_coverage coverage; /* of the samples that are compared; what was lost and how chains ended is the whole profile's */
};

/*
 * Two sides of one recording are compared by the same event if one has samples of both. Events of one side alone
 * (cycles:G and cycles:H) leave each side with its own.
 */
static int choose_events(const struct diff_args *args, struct part parts[2], struct vpmu_error *reterr)
{
	int r = 0;

	for (int i = 0; r >= 0 && i < 2; i++)
		if (args->event)
			r = input_event(parts[i].input, args->event, &parts[i].event, reterr);
		else
			parts[i].event = input_busiest_event(parts[i].input, parts[i].sides);
	if (!args->event && parts[0].input == parts[1].input && parts[0].sides != parts[1].sides &&
	    input_common_event(parts[0].input, &parts[0].event))
		parts[1].event = parts[0].event;
	return r;
}

static const char *event_name(const struct part *part)
{
	const struct vpmu_event_info *info = input_event_info(part->input, part->event);

	return info ? info->name : "?";
}

/* Whether the reader must be told which events these are. */
static bool has_events(const struct part parts[2])
{
	return input_events(parts[0].input) > 1 || input_events(parts[1].input) > 1 ||
	       !streq(event_name(&parts[0]), event_name(&parts[1]));
}

/* What tells the two apart comes into the labels, and nothing else. */
static void label(struct part *part, bool by_file, bool by_side)
{
	const char *gap = "";

	if (part->called) {
		text_add_clean(&part->label, part->called);
		gap = " ";
	}
	if (by_side) {
		strbuf_addf(&part->label, "%s%s", gap, part->sides == VPMU_SIDES_GUEST ? "guest" : "host");
		gap = " ";
	}
	if (by_file) {
		strbuf_adds(&part->label, gap);
		text_add_clean(&part->label, part->input->path);
	}
}

static void print_json(const struct vpmu_diff *diff, const struct part parts[2])
{
	static const char *const names[2] = { "base", "other" };
	struct json_object *head = json_new_object();
	const struct vpmu_diff_row *row;
	struct json_list list;

	for (int i = 0; i < 2; i++)
		json_put_string(head, names[i], parts[i].label.text);
	for (int i = 0; i < 2; i++) {
		char key[32];

		snprintf(key, sizeof(key), "%s_samples", names[i]);
		json_put_int(head, key, (int64_t)vpmu_diff_samples(diff, i == 0));
		snprintf(key, sizeof(key), "%s_event", names[i]);
		json_put_string(head, key, event_name(&parts[i]));
		snprintf(key, sizeof(key), "%s_coverage", names[i]);
		json_put(head, key, shape_coverage(&parts[i].coverage));
		if (!parts[i].input->time.minutes)
			continue;
		snprintf(key, sizeof(key), "%s_period", names[i]);
		json_put(head, key, stored_time_json(parts[i].input));
	}
	json_list_begin(&list, head, "rows");
	for (size_t i = 0; (row = vpmu_diff_row(diff, i)); i++)
		json_list_item(&list, shape_diff_row(row));
	json_list_end(&list);
}

static void add_percent(struct table *table, double percent, uint64_t samples)
{
	if (samples)
		table_cell_percent(table, TINT_NONE, percent);
	else
		table_cell(table, TINT_FAINT, "-");
}

static void add_row(struct table *table, const struct vpmu_diff_row *row)
{
	enum tint tint = !row->significant ? TINT_NONE : row->delta > 0 ? TINT_BAD : TINT_GOOD;

	add_percent(table, row->base_percent, row->base_samples);
	add_percent(table, row->other_percent, row->other_samples);
	table_cellf(table, tint, "%+.2f", row->delta);
	table_cellf(table, TINT_NONE, "%+.2f..%+.2f", row->low, row->high);
	table_cell(table, tint, row->significant ? "*" : "");
	table_cell(table, TINT_NONE, row->dso);
	table_cell(table, TINT_NONE, row->symbol);
}

static void print_rows(const struct vpmu_diff *diff)
{
	_strbuf_ struct strbuf out = {};
	_table_ struct table table = {};
	const struct vpmu_diff_row *row;

	table_column(&table, "Base", TABLE_RIGHT);
	table_column(&table, "Other", TABLE_RIGHT);
	table_column(&table, "Delta", TABLE_RIGHT);
	table_column(&table, "95% interval", TABLE_RIGHT);
	table_column(&table, "", TABLE_LEFT);
	table_column(&table, "DSO", TABLE_CUT_HEAD);
	table_column(&table, "Symbol", TABLE_CUT_TAIL);
	for (size_t i = 0; (row = vpmu_diff_row(diff, i)); i++) {
		add_row(&table, row);
		table_measure_row(&table);
	}
	table_print_head(&table, &out);
	for (size_t i = 0; (row = vpmu_diff_row(diff, i)); i++) {
		add_row(&table, row);
		table_print_row(&table, &out);
		if (out.n > 65536)
			output_write(&out);
	}
	strbuf_adds(&out, "\n* the interval does not contain 0; by chance that is so for one unchanged row in twenty\n");
	output_write(&out);
}

/* What one half is; and how far its samples got names, where that is in no coverage line. */
static void add_half(const struct part parts[2], int i, bool one_recording, struct strbuf *out)
{
	const struct vpmu_coverage *c = &parts[i].coverage;
	/* As in coverage lines: "100.0 %" means all of them. */
	uint64_t permille = c->samples ? (uint64_t)((__uint128_t)c->resolved * 1000 / c->samples) : 0;

	strbuf_addf(out, "%s: %s, %" PRIu64 " sample%s", i ? "other" : "base ",
		    parts[i].label.text ? parts[i].label.text : "", c->samples, text_s(c->samples));
	if (has_events(parts)) {
		strbuf_adds(out, " of ");
		text_add_clean(out, event_name(&parts[i]));
	}
	if (one_recording)
		strbuf_addf(out, ", %" PRIu64 ".%" PRIu64 " %% resolved", permille / 10, permille % 10);
	if (one_recording && c->opaque)
		strbuf_addf(out, ", %" PRIu64 " opaque", c->opaque);
	strbuf_addc(out, '\n');
}

/* Of one recording there is one coverage line, of all that is in it: what was lost, and how chains ended, is of no half alone. */
static void print_text(const struct vpmu_diff *diff, const struct part parts[2])
{
	bool one_recording = parts[0].input == parts[1].input;
	_strbuf_ struct strbuf head = {};
	struct vpmu_coverage whole;

	for (int i = 0; i < 2; i++) {
		add_half(parts, i, one_recording, &head);
		if (one_recording && i == 0)
			continue;
		vpmu_profile_coverage(parts[i].profile, &whole);
		if (one_recording) {
			strbuf_adds(&head, "both of ");
			text_add_clean(&head, parts[i].input->path);
			strbuf_adds(&head, ", ");
		}
		coverage_text(one_recording ? &whole : &parts[i].coverage, &head);
		stored_gaps_text(parts[i].input, &head);
	}
	strbuf_addc(&head, '\n');
	output_write(&head);
	print_rows(diff);
}

static int write_flamegraph(const struct part parts[2], const struct vpmu_diff_opts *diff, const char *path,
			    struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_flamegraph_opts, opts, .base = parts[0].label.text, .other = parts[1].label.text);
	_new_file_ struct new_file file = {};
	int r;

	r = new_file_open(&file, path, 0666, reterr);
	if (r < 0)
		return r;
	r = vpmu_flamegraph_diff(parts[0].profile, parts[1].profile, diff, &opts, file.fd, reterr);
	return new_file_finish(&file, r, reterr);
}

static int find_coverage(struct part *part, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_report_opts, opts, .sort = "side", .event = part->event, .sides = part->sides, .guests = part->guests,
		  .n_guests = part->n_guests);
	struct vpmu_report *report = NULL;
	int r = vpmu_report_new(part->profile, &opts, &report, reterr);

	if (r < 0)
		return r;
	vpmu_report_coverage(report, &part->coverage);
	vpmu_report_free(report);
	return 0;
}

static enum status compare(const struct diff_args *args, struct part parts[2])
{
	_cleanup_(vpmu_diff_freep) struct vpmu_diff *diff = NULL;
	struct vpmu_error error = {};

	for (int i = 0; i < 2; i++) {
		uint32_t guest;

		if (parts[i].n_guests && input_find_guest(parts[i].input, parts[i].called, &guest, &error) < 0)
			return say_error(&error);
	}
	if (choose_events(args, parts, &error) < 0 || find_coverage(&parts[0], &error) < 0 || find_coverage(&parts[1], &error) < 0)
		return say_error(&error);
	VPMU_OPTS(vpmu_diff_opts, opts, .base_sides = parts[0].sides, .other_sides = parts[1].sides,
		  .base_event = parts[0].event, .other_event = parts[1].event,
		  .base_guests = parts[0].guests, .other_guests = parts[1].guests,
		  .n_base_guests = parts[0].n_guests, .n_other_guests = parts[1].n_guests,
		  .by_dso = args->by_dso, .min_percent = args->min_percent, .limit = args->limit);

	if (vpmu_diff_new(parts[0].profile, parts[1].profile, &opts, &diff, &error) < 0)
		return say_error(&error);
	if (args->flamegraph && write_flamegraph(parts, &opts, args->flamegraph, &error) < 0)
		return say_error(&error);
	(args->common.json ? print_json : print_text)(diff, parts);
	return STATUS_DONE;
}

/* What was asked to be compared. */
struct comparison {
	struct input inputs[2]; /* the second one is empty if both parts are of the first */
	struct vpmu_profile *profiles[2];
	struct name_list guests[2];
	struct part parts[2];
};

static void comparison_deinit(struct comparison *c)
{
	for (int i = 0; i < 2; i++) {
		strbuf_deinit(&c->parts[i].label);
		vpmu_profile_free(c->profiles[i]);
		input_close(&c->inputs[i]);
	}
}

/* Which of the two inputs part @i is of. */
static int input_of(const struct comparison *c, int i)
{
	return i && c->profiles[1] ? 1 : 0;
}

static enum status open_recordings(const struct diff_args *args, const struct name_list *operands,
				   struct comparison *c)
{
	VPMU_OPTS(vpmu_profile_opts, opts, .chains = args->flamegraph);
	bool two_files = args->input.files.n == 2, two_guests = operands->n == 2;
	struct vpmu_error error = {};

	if (args->input.files.n > 2)
		return say_usage("compares two recordings at most");
	for (int i = 0; i < (two_files ? 2 : 1); i++)
		if (input_open(&args->input, (size_t)i, &c->inputs[i], &error) < 0) {
			input_hint_at_files(&args->input, operands, &error);
			return say_error(&error);
		}
	for (int i = 0; i < (two_files ? 2 : 1); i++)
		if (input_profile(&c->inputs[i], &args->files, &opts, &c->profiles[i], &error) < 0)
			return say_error(&error);
	for (int i = 0; i < 2; i++) {
		input_guest_names(&c->inputs[input_of(c, i)], operands, &c->guests[i]);
		c->parts[i].guests = c->guests[i].items + (two_guests ? i : 0);
		c->parts[i].n_guests = two_guests ? 1 : operands->n;
	}
	return STATUS_DONE;
}

/* Two periods, or two guests, are two profiles; those hold nothing else. */
static enum status open_stored(const struct diff_args *args, const struct name_list *operands, struct comparison *c)
{
	_stored_ struct stored stored = {};
	bool two_guests = operands->n == 2;
	struct vpmu_error error = {};
	enum status status;

	if (args->stored.base && two_guests)
		return say_usage("compares two guests or two periods, not both");
	status = stored_open(&args->stored, &args->input, &args->files, &stored);
	if (status != STATUS_DONE)
		return status;
	for (int i = 0; i < (args->stored.base || two_guests ? 2 : 1); i++) {
		struct name_list guests = *operands;

		if (two_guests)
			guests = (struct name_list){ { operands->items[i] }, 1 };
		if (stored_input(&stored, args->stored.base && i == 0 ? &stored.base : &stored.period, &guests,
				 args->side.sides, &c->inputs[i], &error) < 0 ||
		    input_profile(&c->inputs[i], NULL, NULL, &c->profiles[i], &error) < 0)
			return say_error(&error);
	}
	return STATUS_DONE;
}

static enum status run_diff(const void *opaque, const struct name_list *operands)
{
	const struct diff_args *args = opaque;
	bool two_files = args->input.files.n == 2 || args->stored.base, two_guests = operands->n == 2;
	bool by_side = !two_files && !two_guests;
	__attribute__((cleanup(comparison_deinit))) struct comparison c = {};
	enum status status;

	if (operands->n > 2)
		return say_usage("compares two guests at most");
	if (by_side && args->side.sides && args->side.sides != (VPMU_SIDES_GUEST | VPMU_SIDES_HOST))
		return say_usage("one recording's host side is compared with its guest side; "
				 "for one side alone name two guests, two recordings or two periods");
	status = (stored_wanted(&args->stored) ? open_stored : open_recordings)(args, operands, &c);
	if (status != STATUS_DONE)
		return status;
	for (int i = 0; i < 2; i++) {
		struct part *part = &c.parts[i];

		part->input = &c.inputs[input_of(&c, i)];
		part->profile = c.profiles[input_of(&c, i)];
		part->sides = !by_side ? args->side.sides : i ? VPMU_SIDES_GUEST : VPMU_SIDES_HOST;
		part->called = operands->n ? operands->items[two_guests ? i : 0] : NULL;
		if (!part->n_guests)
			part->guests = NULL;
		label(part, two_files, by_side);
	}
	return compare(args, c.parts);
}

const struct command command_diff = {
	.name = "diff",
	.summary = "compare host and guest, two guests, two recordings or two periods",
	.operands = "[GUEST...]",
	.groups = (const struct option_group[]){
		{ two_input_options, FIELD(input) },
		{ two_stored_options, FIELD(stored) },
		{ side_options, FIELD(side) },
		{ diff_options, 0 },
		{ guest_file_options, FIELD(files) },
		{ common_options, 0 },
		{},
	},
	.args_bytes = sizeof(struct diff_args),
	.run = run_diff,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu report: where the time went, guest and host apart, with what the figures stand on. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/vpmu.h>

#include "client/shapes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "command.h"
#include "coverage.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "report_text.h"
#include "report_json.h"
#include "sides.h"
#include "stored.h"

struct report_args {
	struct common_args common;
	struct input_args input;
	struct guest_file_args files;
	struct side_args side;
	struct stored_args stored;
	const char *sort, *event;
	uint64_t limit;
	double min_percent;
	bool children, chains, callees, lines;
};

#define FIELD(name) offsetof(struct report_args, name)

static const struct option_spec report_options[] = {
	{ .letter = 's', .name = "sort", .arg = "KEYS", .set = option_string, .offset = FIELD(sort),
	  .help = "what to group by, with commas between: guest, vcpu, side, process, dso, symbol, line "
		  "(default side,dso,symbol)" },
	{ .name = "children", .set = option_flag, .max = 1, .offset = FIELD(children),
	  .help = "a row also counts what it called" },
	{ .name = "no-children", .set = option_flag, .max = 0, .offset = FIELD(children), .alternative = true,
	  .help = "a row counts its own samples only (default)" },
	{ .letter = 'g', .name = "chains", .set = option_flag, .max = 1, .offset = FIELD(chains),
	  .help = "show call chains: callers under what they called" },
	{ .name = "callees", .set = option_flag, .max = 1, .offset = FIELD(callees), .alternative = true,
	  .help = "show call chains the other way: what was called under its caller (with --children)" },
	{ .name = "no-chains", .set = option_flag, .max = 0, .offset = FIELD(chains), .alternative = true,
	  .help = "no call chains (default)" },
	{ .letter = 'n', .name = "limit", .arg = "N", .set = option_u64, .max = UINT32_MAX,
	  .offset = FIELD(limit), .help = "rows of each half at most (default 0: all)" },
	{ .name = "percent-limit", .arg = "PERCENT", .set = option_percent, .offset = FIELD(min_percent),
	  .help = "leave out rows below PERCENT (default 0)" },
	{ .name = "event", .arg = "EVENT", .set = option_string, .offset = FIELD(event),
	  .help = "only this event of the recording, by name or number (default: each in turn)" },
	{ .name = "lines", .set = option_flag, .max = 1, .offset = FIELD(lines),
	  .help = "look source lines up too, and group by them" },
	{},
};

/* --lines without a key for them adds it; a key for them needs them looked up. */
static const char *sort_keys(const struct report_args *args, struct strbuf *room, bool *ret_lines)
{
	const char *sort = args->sort ? args->sort : "side,dso,symbol";
	bool has_line = strstr(sort, "line"); /* "line", and perf's "srcline" */

	*ret_lines = args->lines || has_line;
	if (has_line || !args->lines)
		return sort;
	strbuf_addf(room, "%s,line", sort);
	return room->text ? room->text : sort;
}

/* The reports of events first … end - 1, by event, and what they stand on together. */
struct event_reports {
	const struct input *input;
	struct vpmu_report **reports;
	uint32_t first, end;
	struct vpmu_coverage shown;
};

static void event_reports_deinit(struct event_reports *e)
{
	for (uint32_t i = e->first; e->reports && i < e->end; i++)
		vpmu_report_free(e->reports[i]);
	free(e->reports);
}

/* Made before anything is printed: a wrong key or guest is then a plain error. */
static enum status make_reports(struct event_reports *e, const struct vpmu_profile *profile,
				struct vpmu_report_opts *opts)
{
	struct vpmu_error error = {};
	struct vpmu_coverage coverage;

	e->reports = calloc(e->end, sizeof(*e->reports));
	if (!e->reports) {
		error_oom(&error);
		return say_error(&error);
	}
	for (uint32_t i = e->first; i < e->end; i++) {
		opts->event = i;
		int r = vpmu_report_new(profile, opts, &e->reports[i], &error);

		if (r < 0) /* -EINVAL: a sort key that does not exist */
			return r == -EINVAL ? say_usage("%s", error.text) : say_error(&error);
		vpmu_report_coverage(e->reports[i], &coverage);
		if (i == e->first)
			e->shown = coverage;
		else
			shape_coverage_add(&e->shown, &coverage);
	}
	return STATUS_DONE;
}

static void print_json(const struct event_reports *e)
{
	struct json_object *events = json_new_array();
	struct json_list list;

	report_json_begin(&list, e->input, &e->shown);
	for (uint32_t i = e->first; i < e->end; i++) {
		const struct vpmu_event_info *event = input_event_info(e->input, i);

		report_json_rows(&list, e->reports[i], event);
		json_append(events, report_json_event(e->reports[i], event));
	}
	json_list_end_with(&list, "events", events);
}

/* Did every event ask the kernel to leave guests out? A dummy, which carries perf's side records, samples nothing. */
static bool guests_excluded(const struct input *input)
{
	const struct vpmu_event_info *event;
	size_t n = 0;

	for (size_t i = 0; (event = input_event_info(input, i)); i++) {
		if (starts_with(event->name, "dummy"))
			continue;
		if (!event->excludes_guest)
			return false;
		n++;
	}
	return n > 0;
}

static void print_text(const struct event_reports *e, const struct vpmu_report_opts *opts)
{
	const struct input *input = e->input;
	bool damaged = input->recording && vpmu_recording_info(input->recording)->damaged;
	struct report_unnamed unnamed = { .named_by_vpmud = !input->recording };
	struct vpmu_coverage recorded;
	_strbuf_ struct strbuf head = {};

	input_coverage(input, &recorded);
	if (!input->recording) /* how much of what was asked for there is, only vpmud knows */
		strbuf_addf(&head, "vpmud: %s\n", input->path);
	stored_gaps_text(input, &head);
	coverage_text(&e->shown, &head);
	output_write(&head);
	for (uint32_t i = e->first; i < e->end; i++)
		report_text(e->reports[i], opts,
			    input_events(input) > 1 ? input_event_info(input, i) : NULL,
			    &unnamed);
	if (recorded.samples || !damaged) /* else it was told why there is nothing */
		report_text_notes(&recorded, &e->shown, opts, &unnamed, guests_excluded(input));
}

/* One event of the recording, or all of them one after the other. */
static enum status print_events(const struct report_args *args, const struct input *input,
				const struct vpmu_profile *profile, struct vpmu_report_opts *opts)
{
	struct event_reports e = { .input = input, .end = (uint32_t)MAX(input_events(input), 1u) };
	struct vpmu_error error = {};
	enum status status;

	if (args->event && input_event(input, args->event, &e.first, &error) < 0)
		return say_error(&error);
	if (args->event)
		e.end = e.first + 1;
	status = make_reports(&e, profile, opts);
	if (status == STATUS_DONE && args->common.json)
		print_json(&e);
	else if (status == STATUS_DONE)
		print_text(&e, opts);
	event_reports_deinit(&e);
	return status;
}

static enum status run_report(const void *opaque, const struct name_list *operands)
{
	const struct report_args *args = opaque;
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *profile = NULL;
	_input_ struct input input = {};
	_strbuf_ struct strbuf sort = {};
	struct name_list guests;
	VPMU_OPTS(vpmu_profile_opts, profile_opts, .chains = args->chains || args->children || args->callees);
	VPMU_OPTS(vpmu_report_opts, opts, .sort = sort_keys(args, &sort, &profile_opts.lines),
		  .sides = args->side.sides, .children = args->children || args->callees,
		  .chains = args->chains || args->callees, .callees = args->callees,
		  .limit = args->limit, .min_percent = args->min_percent);
	enum status status;

	if (args->input.files.n > 1)
		return say_usage("reads one recording; 'vpmu diff -i A -i B' compares two");
	status = profile_open(&(struct profile_source){ &args->stored, &args->input, &args->files, args->side.sides }, operands,
			      &profile_opts, &input, &profile, &guests);
	if (status != STATUS_DONE)
		return status;
	opts.guests = guests.n ? guests.items : NULL;
	opts.n_guests = guests.n;
	return print_events(args, &input, profile, &opts);
}

const struct command command_report = {
	.name = "report",
	.summary = "show where the time went, from a recording or from what vpmud has kept",
	.operands = "[GUEST...]",
	.groups = (const struct option_group[]){
		{ input_options, FIELD(input) },
		{ stored_options, FIELD(stored) },
		{ side_options, FIELD(side) },
		{ report_options, 0 },
		{ guest_file_options, FIELD(files) },
		{ common_options, 0 },
		{},
	},
	.args_bytes = sizeof(struct report_args),
	.run = run_report,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu export: a recording for other tools. The output appears whole or not at all. */
#include <errno.h>
#include <unistd.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "command.h"
#include "input.h"
#include "json.h"
#include "new_file.h"
#include "output.h"
#include "sides.h"
#include "stored.h"

struct export_args {
	struct common_args common;
	struct input_args input;
	struct guest_file_args files;
	struct side_args side;
	struct stored_args stored;
	const char *format, *output, *event;
	bool weight;
};

#define FIELD(name) offsetof(struct export_args, name)

static const struct option_spec export_options[] = {
	{ .letter = 'f', .name = "format", .arg = "FORMAT", .set = option_string, .offset = FIELD(format),
	  .required = true,
	  .help = "flamegraph (HTML), folded (one line a stack), pprof (gzip'ed profile.proto) or speedscope (JSON)" },
	{ .letter = 'o', .name = "output", .arg = "FILE", .set = option_string, .offset = FIELD(output),
	  .help = "where to write (default -: standard output); an existing file is renamed to FILE.old once all is written" },
	{ .name = "event", .arg = "EVENT", .set = option_string, .offset = FIELD(event),
	  .help = "which event of the recording, by name or number (default: the one with most samples)" },
	{ .name = "weight", .set = option_flag, .max = 1, .offset = FIELD(weight),
	  .help = "count what the samples stand for (events, or ns of a clock) instead of samples" },
	{},
};

static enum status refuse_format(const char *format)
{
	_strbuf_ struct strbuf names = {};
	const char *name;

	for (size_t i = 0; (name = vpmu_export_format(i)); i++)
		strbuf_addf(&names, "%s%s", i ? ", " : "", name);
	if (!format)
		return say_usage("which format? -f takes: %s", names.text ? names.text : "");
	return say_usage("unknown format '%s'; -f takes: %s", format, names.text ? names.text : "");
}

static bool known_format(const char *format)
{
	const char *name;

	for (size_t i = 0; (name = vpmu_export_format(i)); i++)
		if (streq(name, format))
			return true;
	return false;
}

static int export_to_file(const struct vpmu_profile *profile, const char *format,
			  const struct vpmu_export_opts *opts, const char *path, struct vpmu_error *reterr)
{
	_new_file_ struct new_file file = {};
	int r;

	r = new_file_open(&file, path, 0666, reterr);
	if (r < 0)
		return r;
	return new_file_finish(&file, vpmu_export(profile, format, opts, file.fd, reterr), reterr);
}

static void say_other_events(const struct input *input, uint32_t event)
{
	const struct vpmu_event_info *info;

	if (input_events(input) < 2)
		return;
	info = input_event_info(input, event);
	say("exported event '%s'; --event chooses another", info ? info->name : "?");
}

static void print_result(const struct input *input, const char *format, const char *path, uint32_t event)
{
	const struct vpmu_event_info *info = input_event_info(input, event);
	struct json_object *object = json_new_object();

	json_put_string(object, "file", path);
	json_put_string(object, "format", format);
	json_put_string(object, "event", info ? info->name : NULL);
	json_print(object);
}

static enum status run_export(const void *opaque, const struct name_list *operands)
{
	const struct export_args *args = opaque;
	const char *path = args->output && !streq(args->output, "-") ? args->output : NULL;
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *profile = NULL;
	_input_ struct input input = {};
	struct name_list guests;
	VPMU_OPTS(vpmu_profile_opts, profile_opts, .chains = true);
	VPMU_OPTS(vpmu_export_opts, opts, .sides = args->side.sides, .by_weight = args->weight);
	const struct vpmu_event_info *info;
	struct vpmu_error error = {};
	enum status status;
	int r;

	if (!args->format || !known_format(args->format))
		return refuse_format(args->format);
	if (args->input.files.n > 1)
		return say_usage("reads one recording");
	if (!path && streq(args->format, "flamegraph") && isatty(STDOUT_FILENO))
		return say_usage("a flame graph is for a browser and standard output a terminal; name a file with -o");
	if (!path && streq(args->format, "pprof") && isatty(STDOUT_FILENO))
		return say_usage("pprof is binary and standard output a terminal; name a file with -o");
	if (!path && args->common.json)
		return say_usage("--json goes to standard output; name a file for the profile with -o");
	status = profile_open(&(struct profile_source){ &args->stored, &args->input, &args->files, args->side.sides }, operands,
			      &profile_opts, &input, &profile, &guests);
	if (status != STATUS_DONE)
		return status;
	opts.guests = guests.n ? guests.items : NULL;
	opts.n_guests = guests.n;
	opts.title = input.path;
	opts.event = input_busiest_event(&input, args->side.sides);
	if (args->event && input_event(&input, args->event, &opts.event, &error) < 0)
		return say_error(&error);
	info = input_event_info(&input, opts.event);
	opts.is_clock = info && info->is_clock;
	r = path ? export_to_file(profile, args->format, &opts, path, &error) :
		   vpmu_export(profile, args->format, &opts, STDOUT_FILENO, &error);
	if (r < 0)
		return r == -EPIPE && !path ? STATUS_FAILED : say_error(&error);
	if (args->common.json)
		print_result(&input, args->format, path, opts.event);
	else if (!args->event)
		say_other_events(&input, opts.event);
	return STATUS_DONE;
}

const struct command command_export = {
	.name = "export",
	.summary = "write a profile as a flame graph or in another tool's format",
	.operands = "[GUEST...]",
	.groups = (const struct option_group[]){
		{ input_options, FIELD(input) },
		{ stored_options, FIELD(stored) },
		{ export_options, 0 },
		{ side_options, FIELD(side) },
		{ guest_file_options, FIELD(files) },
		{ common_options, 0 },
		{},
	},
	.args_bytes = sizeof(struct export_args),
	.run = run_export,
};

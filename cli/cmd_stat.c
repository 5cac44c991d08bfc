/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu stat: counters per vCPU, guest and host apart, and where each vCPU's time went. */
#include <errno.h>
#include <string.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"
#include "command.h"
#include "guest_names.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "stat_remote.h"
#include "watch.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)
DEFINE_CLEANUP(struct vpmu_counters *, vpmu_counters_free)

typedef VEC(const char *) guest_names;

static void guest_names_deinit(guest_names *names)
{
	vec_free(names);
}

struct stat_args {
	struct common_args common;
	struct remote_args remote;
	const char *events;
	uint64_t interval_ms, duration_ns;
};

#define FIELD(name) offsetof(struct stat_args, name)

static const struct option_spec stat_options[] = {
	{ .letter = 'e',
	  .name = "event",
	  .arg = "EVENT",
	  .set = option_string,
	  .offset = FIELD(events),
	  .help = "what to count: one or more names, with commas between (default: cycles, "
		  "instructions, branches and branch-misses where this machine has them, "
		  "context-switches, cpu-migrations, page-faults)" },
	{ .letter = 'I',
	  .name = "interval",
	  .arg = "MS",
	  .set = option_u64,
	  .min = 10,
	  .max = 86400000,
	  .offset = FIELD(interval_ms),
	  .help = "print what came every MS milliseconds, from 10; the totals at the end" },
	{ .letter = 'd',
	  .name = "duration",
	  .arg = "TIME",
	  .set = option_duration_ns,
	  .offset = FIELD(duration_ns),
	  .help = "stop after TIME: 10s, 2m, 500ms, 1h (default: at ^C, or when the guests are gone)" },
	{},
};

static int open_counters(const struct stat_args *args, const struct name_list *operands,
			 const struct vpmu_guests *guests, struct vpmu_counters **ret_counters,
			 struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_counters_opts, opts, .events = args->events);
	_cleanup_(vpmu_counters_freep) struct vpmu_counters *counters = NULL;
	int r;

	r = vpmu_counters_new(&opts, &counters, reterr);
	for (size_t i = 0; r >= 0 && i < operands->n; i++) {
		const struct vpmu_guest_info *guest = NULL;

		r = vpmu_guests_find(guests, operands->items[i], &guest, reterr);
		if (r >= 0)
			r = vpmu_counters_add_guest(counters, guest, reterr);
	}
	if (r >= 0)
		r = vpmu_counters_start(counters, reterr);
	if (r < 0)
		return r;
	*ret_counters = take_ptr(counters);
	return 0;
}

/* ---- output ---- */

/* A reading with the names of its guests; they are *names' from then on. */
static struct stat_reading with_names(const struct vpmu_counters *counters, const struct vpmu_counts *counts,
				      guest_names *names)
{
	const struct vpmu_guest_info *guest;

	names->n = 0;
	for (size_t i = 0; (guest = vpmu_counters_guest(counters, i)); i++)
		if (!vec_push(names, guest->name))
			return (struct stat_reading){}; /* out of memory: nothing to print */
	return (struct stat_reading){ .counts = *counts, .guests = names->items };
}

static int check_named_events(struct vpmu_counters *counters, struct vpmu_error *reterr)
{
	struct stat_reading reading = {};
	int r = vpmu_counters_read(counters, VPMU_SINCE_START, &reading.counts, reterr);

	return r < 0 ? r : stat_check_events(&reading, reterr);
}

/* ---- the measurement ---- */

struct local {
	struct vpmu_counters *counters;
	struct stat_output *output;
};

static int look(void *data, struct vpmu_error *reterr)
{
	return vpmu_counters_refresh(((struct local *)data)->counters, reterr);
}

static int tick(void *data, struct vpmu_error *reterr)
{
	__attribute__((cleanup(guest_names_deinit))) guest_names names = {};
	struct local *local = data;
	struct stat_reading reading;
	struct vpmu_counts counts;
	int r = vpmu_counters_read(local->counters, VPMU_SINCE_LAST, &counts, reterr);

	if (r < 0)
		return r;
	reading = with_names(local->counters, &counts, &names);
	stat_output_interval(local->output, &reading);
	return 0;
}

static void print_total(const struct vpmu_counters *counters, const struct vpmu_counts *counts,
			struct stat_output *output)
{
	__attribute__((cleanup(guest_names_deinit))) guest_names names = {};
	struct stat_reading reading = with_names(counters, counts, &names);

	stat_output_total(output, &reading);
}

static enum status stat_local(const struct stat_args *args, const struct name_list *operands,
			      struct stat_output *output)
{
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	_cleanup_(vpmu_counters_freep) struct vpmu_counters *counters = NULL;
	struct local local = { .output = output };
	const struct watch watch = { .doing = "counting", .duration_ns = args->duration_ns,
				     .interval_ms = args->interval_ms, .look = look, .tick = tick, .data = &local };
	struct vpmu_error error = {};
	struct vpmu_counts counts;
	int r;

	if (vpmu_guests_new(NULL, &guests, &error) < 0)
		return say_error(&error);
	if (!operands->n)
		return say_which_guest(guests, "");
	if (open_counters(args, operands, guests, &counters, &error) < 0 ||
	    (args->events && check_named_events(counters, &error) < 0))
		return say_error(&error);
	if (*vpmu_counters_missing(counters))
		say("%s", vpmu_counters_missing(counters));
	local.counters = counters;
	output->begin_ns = now_ns();
	stat_output_begin(output);
	r = watch_run(&watch, &error);
	if (r == -ESRCH)
		say("the guests are gone");
	if (vpmu_counters_read(counters, VPMU_SINCE_START, &counts, &error) < 0)
		return say_error(&error);
	print_total(counters, &counts, output);
	return r < 0 && r != -ESRCH ? say_error(&error) : STATUS_DONE;
}

static enum status run_stat(const void *opaque, const struct name_list *operands)
{
	const struct stat_args *args = opaque;
	const struct stat_remote_args remote = { args->events, args->interval_ms, args->duration_ns };
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	struct stat_output output = { .json = args->common.json, .intervals = args->interval_ms };
	enum status status;

	status = remote_open(&args->remote, args->interval_ms, &client);
	if (status != STATUS_DONE)
		return status;
	if (client && !operands->n)
		return say_which_remote_guest(client);
	interrupt_catch();
	return client ? stat_remote(client, operands, &remote, &output) : stat_local(args, operands, &output);
}

const struct command command_stat = {
	.name = "stat",
	.summary = "count events and time of each vCPU, guest and host apart",
	.operands = "GUEST...",
	.groups =
		(const struct option_group[]){
			{ stat_options, 0 },
			{ remote_options, FIELD(remote) },
			{ common_options, 0 },
			{},
		},
	.args_bytes = sizeof(struct stat_args),
	.run = run_stat,
};

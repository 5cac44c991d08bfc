/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu time: where every second of each vCPU went. */
#include <errno.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/vec.h"
#include "command.h"
#include "guest_names.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "time_output.h"
#include "time_remote.h"
#include "watch.h"

DEFINE_CLEANUP(struct vpmu_clock *, vpmu_clock_free)

struct time_args {
	struct common_args common;
	struct remote_args remote;
	uint64_t interval_ms, duration_ns;
};

#define FIELD(name) offsetof(struct time_args, name)

static const struct option_spec time_options[] = {
	{ .letter = 'd',
	  .name = "duration",
	  .arg = "TIME",
	  .set = option_duration_ns,
	  .offset = FIELD(duration_ns),
	  .help = "stop after TIME: 10s, 2m, 500ms, 1h (default: at ^C, or when the guests are gone)" },
	{ .letter = 'I',
	  .name = "interval",
	  .arg = "MS",
	  .set = option_u64,
	  .min = 10,
	  .max = 86400000,
	  .offset = FIELD(interval_ms),
	  .help = "print where the time went every MS milliseconds, from 10; the totals at the end" },
	{},
};

static int open_clock(const struct name_list *operands, const struct vpmu_guests *guests,
		      struct vpmu_clock **ret_clock, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_clock_freep) struct vpmu_clock *clock = NULL;
	int r;

	r = vpmu_clock_new(NULL, &clock, reterr);
	for (size_t i = 0; r >= 0 && i < operands->n; i++) {
		const struct vpmu_guest_info *guest = NULL;

		r = vpmu_guests_find(guests, operands->items[i], &guest, reterr);
		if (r >= 0)
			r = vpmu_clock_add_guest(clock, guest, reterr);
	}
	if (r >= 0)
		r = vpmu_clock_start(clock, reterr);
	if (r < 0)
		return r;
	*ret_clock = take_ptr(clock);
	return 0;
}

/* ---- the measurement ---- */

struct local {
	struct vpmu_clock *clock;
	struct vpmu_guests *guests; /* of the host, for the names of competitors */
	struct time_output *output;
	VEC(const char *) names;
};

static void local_deinit(struct local *local)
{
	vpmu_clock_free(local->clock);
	vpmu_guests_free(local->guests);
	vec_free(&local->names);
}

static const char *guest_of(pid_t pid, const void *data)
{
	return guest_of_pid(data, pid);
}

static int read_clock(struct local *local, enum vpmu_count_since since, struct time_reading *ret_reading,
		      struct vpmu_error *reterr)
{
	const struct vpmu_guest_info *guest;
	int r = vpmu_clock_read(local->clock, since, &ret_reading->times, reterr);

	if (r < 0)
		return r;
	local->names.n = 0;
	for (size_t i = 0; (guest = vpmu_clock_guest(local->clock, i)); i++)
		if (!vec_push(&local->names, guest->name))
			return error_oom(reterr);
	ret_reading->guests = local->names.items;
	ret_reading->guest_of = guest_of;
	ret_reading->data = local->guests;
	return 0;
}

static int look(void *data, struct vpmu_error *reterr)
{
	return vpmu_clock_refresh(((struct local *)data)->clock, reterr);
}

static int tick(void *data, struct vpmu_error *reterr)
{
	struct local *local = data;
	struct time_reading reading;
	int r = read_clock(local, VPMU_SINCE_LAST, &reading, reterr);

	if (r >= 0)
		time_output_interval(local->output, &reading);
	return r;
}

static enum status time_local(const struct time_args *args, const struct name_list *operands, struct time_output *output)
{
	__attribute__((cleanup(local_deinit))) struct local local = { .output = output };
	const struct watch watch = { .doing = "watching", .duration_ns = args->duration_ns,
				     .interval_ms = args->interval_ms, .look = look, .tick = tick, .data = &local };
	struct vpmu_error error = {};
	struct time_reading total;
	int r;

	if (vpmu_guests_new(NULL, &local.guests, &error) < 0)
		return say_error(&error);
	if (!operands->n)
		return say_which_guest(local.guests, "");
	interrupt_catch();
	if (open_clock(operands, local.guests, &local.clock, &error) < 0)
		return say_error(&error);
	if (*vpmu_clock_missing(local.clock))
		say_warning("%s", vpmu_clock_missing(local.clock)); /* what follows from it the output tells */
	time_output_begin(output, now_ns());
	r = watch_run(&watch, &error);
	if (r == -ESRCH)
		say("the guests are gone");
	else if (r < 0)
		return say_error(&error);
	if (read_clock(&local, VPMU_SINCE_START, &total, &error) < 0)
		return say_error(&error);
	time_output_total(output, &total);
	return STATUS_DONE;
}

static enum status run_time(const void *opaque, const struct name_list *operands)
{
	const struct time_args *args = opaque;
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	struct time_output output = { .json = args->common.json, .intervals = args->interval_ms };
	enum status status;

	status = remote_open(&args->remote, args->interval_ms, &client);
	if (status != STATUS_DONE)
		return status;
	if (!client)
		return time_local(args, operands, &output);
	if (!operands->n)
		return say_which_remote_guest(client);
	interrupt_catch();
	return time_remote(client, operands, args->interval_ms, args->duration_ns, &output);
}

const struct command command_time = {
	.name = "time",
	.summary = "where every second of each vCPU went",
	.operands = "GUEST...",
	.groups =
		(const struct option_group[]){
			{ time_options, 0 },
			{ remote_options, FIELD(remote) },
			{ common_options, 0 },
			{},
		},
	.args_bytes = sizeof(struct time_args),
	.run = run_time,
};

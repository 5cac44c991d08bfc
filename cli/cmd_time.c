/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu time: where every second of each vCPU went. */
#include <errno.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "command.h"
#include "guest_names.h"
#include "interrupt.h"
#include "json.h"
#include "output.h"
#include "progress.h"
#include "time_json.h"
#include "time_text.h"
#include "watch.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)
DEFINE_CLEANUP(struct vpmu_clock *, vpmu_clock_free)

struct time_args {
	struct common_args common;
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

struct time_output {
	struct vpmu_clock *clock;
	struct vpmu_guests *guests;
	const struct time_args *args;
	uint64_t begin_ns;
	struct json_list list;
};

static int look(void *data, struct vpmu_error *reterr)
{
	struct time_output *output = data;

	return vpmu_clock_refresh(output->clock, reterr);
}

static int print_interval(void *data, struct vpmu_error *reterr)
{
	struct time_output *output = data;
	struct vpmu_clock_times times;
	_strbuf_ struct strbuf title = {};
	int r;

	r = vpmu_clock_read(output->clock, VPMU_SINCE_LAST, &times, reterr);
	if (r < 0)
		return r;
	if (output->args->common.json) {
		json_list_item(&output->list, time_json_interval(output->clock, output->guests, &times));
		return 0;
	}
	strbuf_addf(&title, "%s%.3f s:\n", output->list.n++ ? "\n" : "",
		    (double)(times.end_ns - output->begin_ns) / 1e9);
	output_write(&title);
	time_text(output->clock, output->guests, &times, false);
	return 0;
}

static int print_total(struct time_output *output, struct vpmu_error *reterr)
{
	struct vpmu_clock_times times;
	_strbuf_ struct strbuf title = {};
	int r;

	r = vpmu_clock_read(output->clock, VPMU_SINCE_START, &times, reterr);
	if (r < 0)
		return r;
	if (output->args->common.json) {
		json_list_end_with(&output->list, "vcpus",
				   time_json_vcpus(output->clock, output->guests, &times));
		return 0;
	}
	if (output->args->interval_ms)
		strbuf_addf(&title, "\nin all, %.3f s:\n", (double)(times.end_ns - times.start_ns) / 1e9);
	output_write(&title);
	time_text(output->clock, output->guests, &times, true);
	return 0;
}

static enum status run_time(const void *opaque, const struct name_list *operands)
{
	const struct time_args *args = opaque;
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	_cleanup_(vpmu_clock_freep) struct vpmu_clock *clock = NULL;
	struct time_output output = { .args = args };
	struct watch watch = {
		.doing = "watching",
		.duration_ns = args->duration_ns,
		.interval_ms = args->interval_ms,
		.look = look,
		.tick = print_interval,
		.data = &output,
	};
	struct vpmu_error error = {};
	int r;

	if (vpmu_guests_new(NULL, &guests, &error) < 0)
		return say_error(&error);
	if (!operands->n)
		return say_which_guest(guests, "");
	interrupt_catch();
	if (open_clock(operands, guests, &clock, &error) < 0)
		return say_error(&error);
	if (*vpmu_clock_missing(clock))
		say_warning("%s", vpmu_clock_missing(clock)); /* what follows from it the output tells */
	output.clock = clock;
	output.guests = guests;
	output.begin_ns = now_ns();
	if (args->common.json)
		json_list_begin(&output.list, NULL, "intervals");
	r = watch_run(&watch, &error);
	if (r == -ESRCH)
		say("the guests are gone");
	else if (r < 0)
		return say_error(&error);
	return print_total(&output, &error) < 0 ? say_error(&error) : STATUS_DONE;
}

const struct command command_time = {
	.name = "time",
	.summary = "where every second of each vCPU went",
	.operands = "GUEST...",
	.groups =
		(const struct option_group[]){
			{ time_options, 0 },
			{ common_options, 0 },
			{},
		},
	.args_bytes = sizeof(struct time_args),
	.run = run_time,
};

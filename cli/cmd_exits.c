/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu exits: VM exits by reason and by what they were about, with their times. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "command.h"
#include "exits_show.h"
#include "guest_names.h"
#include "input.h"
#include "interrupt.h"
#include "json.h"
#include "new_file.h"
#include "output.h"
#include "progress.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)
DEFINE_CLEANUP(struct vpmu_exits *, vpmu_exits_free)

enum fold { FOLD_NOT = 0, FOLD_COUNT, FOLD_TIME };

struct exits_args {
	struct common_args common;
	unsigned int keys; /* bits by enum vpmu_exit_key */
	bool all, histograms, nested, pmu;
	enum fold fold;
	const char *flamegraph;
	uint64_t interval_ms, duration_ns;
	struct guest_file_args files;
};

#define KEY_STACK   31 /* no key of rows: beyond all of those */
#define NESTED_KEYS (1u << VPMU_EXIT_TRIP | 1u << VPMU_EXIT_ANCILLARY | 1u << VPMU_EXIT_RUN)
#define ALL_KEYS    ((1u << VPMU_EXIT_KEY_COUNT) - 1)
#define STACK_BIT   (1u << KEY_STACK)
#define PMU_KEYS    (1u << VPMU_EXIT_MSR | 1u << VPMU_EXIT_VECTOR)
#define FIELD(name) offsetof(struct exits_args, name)

/* What a user calls the keys. */
static const struct {
	const char *name;
	enum vpmu_exit_key key;
} key_names[] = {
	{ "reason", VPMU_EXIT_REASON }, { "msr", VPMU_EXIT_MSR },	      { "port", VPMU_EXIT_PORT },
	{ "mmio", VPMU_EXIT_MMIO },	{ "cpuid", VPMU_EXIT_CPUID },	      { "hypercall", VPMU_EXIT_HYPERCALL },
	{ "fault", VPMU_EXIT_FAULT },	{ "vector", VPMU_EXIT_VECTOR },	      { "symbol", VPMU_EXIT_ADDRESS },
	{ "user", VPMU_EXIT_USER },	{ "stack", KEY_STACK },
};

static int set_key(const char *name, size_t n, unsigned int *keys, struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf known = {};

	for (size_t i = 0; i < ARRAY_SIZE(key_names); i++) {
		if (strlen(key_names[i].name) == n && strncmp(name, key_names[i].name, n) == 0) {
			*keys |= 1u << key_names[i].key;
			return 0;
		}
		strbuf_addf(&known, "%s%s", i ? ", " : "", key_names[i].name);
	}
	return error_set(reterr, -EINVAL, "knows %s, not '%.*s'", known.text ? known.text : "", (int)n, name);
}

static int option_keys(const struct option_spec *spec, const char *value, void *field,
		       struct vpmu_error *reterr)
{
	(void)spec;
	for (const char *name = value;; name++) {
		size_t n = strcspn(name, ",");
		int r = set_key(name, n, field, reterr);

		if (r < 0)
			return r;
		name += n;
		if (!*name)
			return 0;
	}
}

static int option_fold(const struct option_spec *spec, const char *value, void *field,
		       struct vpmu_error *reterr)
{
	(void)spec;
	if (!streq(value, "count") && !streq(value, "time"))
		return error_set(reterr, -EINVAL, "is count or time, not '%s'", value);
	*(enum fold *)field = streq(value, "time") ? FOLD_TIME : FOLD_COUNT;
	return 0;
}

static const struct option_spec exits_options[] = {
	{ .name = "by",
	  .arg = "KEY",
	  .set = option_keys,
	  .offset = FIELD(keys),
	  .help = "a table for each KEY, with commas between: reason, msr, port, mmio, cpuid, hypercall, "
		  "fault, vector, symbol, user, stack (default: reason)" },
	{ .name = "fold",
	  .arg = "WEIGHT",
	  .set = option_fold,
	  .offset = FIELD(fold),
	  .help = "print nothing but folded stacks, for flame graphs; WEIGHT is count or time" },
	{ .name = "flamegraph",
	  .arg = "FILE",
	  .set = option_string,
	  .offset = FIELD(flamegraph),
	  .help = "write a flame graph of what led to exits too, by time and by count: an HTML page" },
	{ .name = "nested",
	  .set = option_flag,
	  .max = 1,
	  .offset = FIELD(nested),
	  .help = "what guests of the guest cost: their exits, and those of the guest hypervisor for each" },
	{ .name = "pmu",
	  .set = option_flag,
	  .max = 1,
	  .offset = FIELD(pmu),
	  .help = "what the guest's own use of its PMU costs, by operation" },
	{ .letter = 'H',
	  .name = "histogram",
	  .set = option_flag,
	  .max = 1,
	  .offset = FIELD(histograms),
	  .help = "show how the times of each row are spread" },
	{ .letter = 'a',
	  .name = "all",
	  .set = option_flag,
	  .max = 1,
	  .offset = FIELD(all),
	  .help = "all guests that run now" },
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

/* ---- opening ---- */

static int add_guests(struct vpmu_exits *exits, const struct exits_args *args,
		      const struct name_list *operands, const struct vpmu_guests *guests,
		      struct vpmu_error *reterr)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && args->all && i < vpmu_guests_count(guests); i++) {
		const struct vpmu_guest_info *guest = vpmu_guests_get(guests, i);

		if (guest->accel != VPMU_ACCEL_TCG)
			r = vpmu_exits_add_guest(exits, guest, reterr);
	}
	for (size_t i = 0; r >= 0 && i < operands->n; i++) {
		const struct vpmu_guest_info *guest = NULL;

		r = vpmu_guests_find(guests, operands->items[i], &guest, reterr);
		if (r >= 0 && guest->accel == VPMU_ACCEL_TCG)
			return error_set(reterr, -EOPNOTSUPP, "guest '%s' is emulated (TCG): it has no VM exits",
					 guest->name);
		if (r >= 0)
			r = vpmu_exits_add_guest(exits, guest, reterr);
	}
	return r;
}

struct live_guests {
	const struct vpmu_guests *guests;
	const struct vpmu_exits *exits;
};

static int find_guest(void *data, const char *spec, uint32_t *ret_guest, struct vpmu_error *reterr)
{
	const struct live_guests *live = data;
	const struct vpmu_guest_info *wanted = NULL, *guest;
	int r = vpmu_guests_find(live->guests, spec, &wanted, reterr);

	if (r < 0)
		return r;
	for (uint32_t i = 0; (guest = vpmu_exits_guest(live->exits, i)); i++)
		if (guest->pid == wanted->pid) {
			*ret_guest = i;
			return 0;
		}
	return error_set(reterr, -ENOENT, "guest '%s' is not among those to be looked at", spec);
}

static int open_exits(const struct exits_args *args, const struct name_list *operands,
		      const struct vpmu_guests *guests, struct vpmu_exits **ret_exits,
		      struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_exits_opts, opts,
		  .keys = (args->keys & ~STACK_BIT) | (args->nested ? NESTED_KEYS : 0) |
			  (args->pmu ? PMU_KEYS : 0),
		  .stacks = args->keys & STACK_BIT || args->fold || args->flamegraph);
	_cleanup_(vpmu_exits_freep) struct vpmu_exits *exits = NULL;
	struct live_guests live = { .guests = guests };
	int r;

	r = vpmu_exits_new(&opts, &exits, reterr);
	if (r >= 0)
		r = add_guests(exits, args, operands, guests, reterr);
	live.exits = exits;
	if (r >= 0)
		r = guest_files_name(&args->files, vpmu_exits_symbolizer(exits),
				     &(struct guest_finder){ find_guest, &live }, reterr);
	if (r >= 0)
		r = vpmu_exits_start(exits, reterr);
	if (r < 0)
		return r;
	*ret_exits = take_ptr(exits);
	return 0;
}

/* ---- output ---- */

struct exits_output {
	struct vpmu_exits *exits;
	unsigned int keys;
	bool json, intervals, histograms, nested, pmu, silence_said;
	enum fold fold;
	uint64_t begin_ns;
	struct json_list list;
};

/* Where no exits are to be seen, what is: the events by themselves. */
static unsigned int keys_of(struct exits_output *output)
{
	if (!*vpmu_exits_silent(output->exits))
		return output->keys;
	if (!output->silence_said)
		say("%s; events of KVM instead", vpmu_exits_silent(output->exits));
	output->silence_said = true;
	return output->keys == 1u << VPMU_EXIT_REASON ? ALL_KEYS : output->keys;
}

static void print_text(const struct exits_output *output, const struct vpmu_exit_rows *rows,
		       unsigned int keys, bool histograms)
{
	if (output->nested)
		exits_nested_text(output->exits, rows);
	if (output->pmu)
		exits_pmu_text(output->exits, rows);
	if (output->nested || output->pmu)
		return;
	if (output->keys != STACK_BIT)
		exits_text(output->exits, rows, keys & ~STACK_BIT, histograms);
}

/* Of an interval there is no more than the rows; stacks are of the whole time. */
static struct json_object *total_json(const struct exits_output *output, const struct vpmu_exit_rows *rows,
				      unsigned int keys)
{
	struct json_object *total = exits_json(output->exits, rows, keys & ~STACK_BIT);

	if (output->pmu)
		json_put(total, "pmu", exits_pmu_json(output->exits, rows));
	if (output->keys & STACK_BIT)
		json_put(total, "stacks", exits_stacks_json(output->exits));
	return total;
}

static void print_interval(struct exits_output *output, const struct vpmu_exit_rows *rows)
{
	_strbuf_ struct strbuf title = {};
	unsigned int keys = keys_of(output);

	if (output->fold)
		return;
	if (output->json) {
		json_list_item(&output->list, exits_json(output->exits, rows, keys & ~STACK_BIT));
		return;
	}
	strbuf_addf(&title, "%s%.3f s:\n", output->list.n++ ? "\n" : "",
		    (double)(rows->end_ns - output->begin_ns) / 1e9);
	output_write(&title);
	print_text(output, rows, keys, false);
}

static int print_total(struct exits_output *output, const struct vpmu_exit_rows *rows)
{
	_strbuf_ struct strbuf title = {};
	unsigned int keys = keys_of(output);

	if (output->fold)
		return exits_stacks_folded(output->exits, output->fold == FOLD_TIME);
	if (output->json && output->intervals) {
		json_list_end_with(&output->list, "total", total_json(output, rows, keys));
		return 0;
	}
	if (output->json) {
		json_print(total_json(output, rows, keys));
		return 0;
	}
	if (output->intervals) {
		strbuf_addf(&title, "\nin all, %.3f s:\n", (double)(rows->end_ns - rows->start_ns) / 1e9);
		output_write(&title);
	}
	print_text(output, rows, keys, output->histograms);
	return output->keys & STACK_BIT ? exits_stacks_text(output->exits) : 0;
}

static int write_flamegraph(struct vpmu_exits *exits, const char *path, bool by_count, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_flamegraph_opts, opts, .by_count = by_count);
	_new_file_ struct new_file file = {};
	int r;

	r = new_file_open(&file, path, 0666, reterr);
	if (r >= 0)
		r = vpmu_flamegraph_exits(exits, &opts, file.fd, reterr);
	return r < 0 ? r : new_file_keep(&file, reterr);
}

/* ---- the measurement ---- */

#define LOOK_NS 250000000ull /* between two looks for threads that came or went */

/* Until @time_ns, or a signal. */
static void sleep_until(uint64_t time_ns)
{
	struct timespec t = { (time_t)(time_ns / 1000000000), (long)(time_ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void show_progress(struct progress *progress, const struct exits_args *args)
{
	uint64_t passed_ns = now_ns() - progress->begin_ns;

	if (args->interval_ms || !progress_due(progress))
		return;
	if (args->duration_ns)
		progress_show(progress, "accounting: %" PRIu64 " of %" PRIu64 " s", passed_ns / 1000000000,
			      args->duration_ns / 1000000000);
	else
		progress_show(progress, "accounting: %" PRIu64 " s, ^C ends it", passed_ns / 1000000000);
}

/* Until the time is over, a signal came, or the guests are gone (-ESRCH). */
static int measure(const struct exits_args *args, struct exits_output *output, struct vpmu_error *reterr)
{
	uint64_t begin_ns = now_ns(), interval_ns = args->interval_ms * 1000000;
	uint64_t end_ns = args->duration_ns ? begin_ns + args->duration_ns : UINT64_MAX;
	uint64_t tick_ns = interval_ns ? begin_ns + interval_ns : UINT64_MAX;
	_progress_ struct progress progress;
	int r = 0;

	progress_begin(&progress);
	while (!interrupted && r == 0 && now_ns() < end_ns) {
		struct vpmu_exit_rows rows;

		/* Looks are short enough for a signal that came just before the sleep, too. */
		sleep_until(MIN(MIN(now_ns() + LOOK_NS, tick_ns), end_ns));
		r = vpmu_exits_refresh(output->exits, reterr);
		show_progress(&progress, args);
		if (now_ns() < tick_ns || interrupted || r < 0)
			continue;
		r = vpmu_exits_read(output->exits, VPMU_SINCE_LAST, &rows, reterr);
		if (r < 0)
			break;
		print_interval(output, &rows);
		output_flush();
		/* Those that this program was too late for are part of the one that was printed. */
		while (tick_ns <= now_ns())
			tick_ns += interval_ns;
	}
	return r;
}

static enum status run_exits(const void *opaque, const struct name_list *operands)
{
	const struct exits_args *args = opaque;
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	_cleanup_(vpmu_exits_freep) struct vpmu_exits *exits = NULL;
	struct exits_output output = { .json = args->common.json,
				       .intervals = args->interval_ms,
				       .histograms = args->histograms,
				       .nested = args->nested,
				       .pmu = args->pmu,
				       .fold = args->fold,
				       .keys = args->keys };
	struct vpmu_error error = {};
	struct vpmu_exit_rows rows;
	int r;

	if (!args->keys || (args->nested && args->common.json))
		output.keys |= 1u << VPMU_EXIT_REASON;
	if (args->nested)
		output.keys |= NESTED_KEYS;
	if (vpmu_guests_new(NULL, &guests, &error) < 0)
		return say_error(&error);
	if (!operands->n && !args->all)
		return say_which_guest(guests, "; -a takes all");
	interrupt_catch();
	if (open_exits(args, operands, guests, &exits, &error) < 0)
		return say_error(&error);
	if (*vpmu_exits_missing(exits))
		say("this kernel lacks the tracepoints %s", vpmu_exits_missing(exits));
	output.exits = exits;
	output.begin_ns = now_ns();
	if (output.json && output.intervals && !output.fold)
		json_list_begin(&output.list, NULL, "intervals");
	r = measure(args, &output, &error);
	if (r == -ESRCH)
		say("the guests are gone");
	if (vpmu_exits_read(exits, VPMU_SINCE_START, &rows, &error) < 0)
		return say_error(&error);
	if (print_total(&output, &rows) < 0) {
		error_oom(&error);
		return say_error(&error);
	}
	if (r < 0 && r != -ESRCH)
		return say_error(&error);
	if (args->flamegraph && write_flamegraph(exits, args->flamegraph, args->fold == FOLD_COUNT, &error) < 0)
		return say_error(&error);
	return STATUS_DONE;
}

const struct command command_exits = {
	.name = "exits",
	.summary = "VM exits of each vCPU: how many, how long, what about",
	.operands = "[GUEST...]",
	.groups =
		(const struct option_group[]){
			{ exits_options, 0 },
			{ guest_file_options, FIELD(files) },
			{ common_options, 0 },
			{},
		},
	.args_bytes = sizeof(struct exits_args),
	.run = run_exits,
};

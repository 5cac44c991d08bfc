/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu exits: VM exits by reason and by what they were about, with their times. */
#include <errno.h>
#include <string.h>
#include <vpmu/vpmu.h>

#include "client/meter_shapes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"
#include "command.h"
#include "exits_output.h"
#include "exits_remote.h"
#include "guest_names.h"
#include "input.h"
#include "interrupt.h"
#include "new_file.h"
#include "output.h"
#include "watch.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)
DEFINE_CLEANUP(struct vpmu_exits *, vpmu_exits_free)

struct exits_args {
	struct common_args common;
	struct remote_args remote;
	unsigned int keys; /* bits by enum vpmu_exit_key */
	bool all, histograms, nested, pmu;
	enum fold fold;
	const char *flamegraph;
	uint64_t interval_ms, duration_ns;
	struct guest_file_args files;
};

#define PMU_KEYS    (1u << VPMU_EXIT_MSR | 1u << VPMU_EXIT_VECTOR)
#define FIELD(name) offsetof(struct exits_args, name)

static int set_key(const char *name, size_t n, unsigned int *keys, struct vpmu_error *reterr)
{
	_free_ char *copy = strndup(name, n);
	unsigned int bits = copy ? shape_keys(copy) : 0;

	if (!copy)
		return error_oom(reterr);
	if (streq(copy, "stack"))
		bits = EXITS_STACKS;
	if (!bits || bits & SHAPE_NESTED_KEYS)
		return error_set(reterr, -EINVAL,
				 "knows reason, msr, port, mmio, cpuid, hypercall, fault, vector, symbol, user, stack, not '%s'",
				 copy);
	*keys |= bits;
	return 0;
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

/* What has to be accounted for what is to be shown. */
static unsigned int account_keys(const struct exits_args *args)
{
	return (args->keys & ~EXITS_STACKS) | (args->nested ? SHAPE_NESTED_KEYS : 0) | (args->pmu ? PMU_KEYS : 0);
}

static int open_exits(const struct exits_args *args, const struct name_list *operands,
		      const struct vpmu_guests *guests, struct vpmu_exits **ret_exits,
		      struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_exits_opts, opts,
		  .keys = account_keys(args), .stacks = args->keys & EXITS_STACKS || args->fold || args->flamegraph);
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

/* ---- the measurement ---- */

struct local {
	struct vpmu_exits *exits;
	struct exits_output *output;
	VEC(const char *) names;
};

static void local_deinit(struct local *local)
{
	vpmu_exits_free(local->exits);
	vec_free(&local->names);
}

static int look(void *data, struct vpmu_error *reterr)
{
	return vpmu_exits_refresh(((struct local *)data)->exits, reterr);
}

static int read_exits(struct local *local, enum vpmu_count_since since, struct exits_reading *ret_reading,
		      struct vpmu_error *reterr)
{
	const struct vpmu_guest_info *guest;
	int r = vpmu_exits_read(local->exits, since, &ret_reading->rows, reterr);

	if (r < 0)
		return r;
	local->names.n = 0;
	for (size_t i = 0; (guest = vpmu_exits_guest(local->exits, i)); i++)
		if (!vec_push(&local->names, guest->name))
			return error_oom(reterr);
	ret_reading->exits = local->exits;
	ret_reading->guests = local->names.items;
	ret_reading->silent = vpmu_exits_silent(local->exits);
	return 0;
}

static int tick(void *data, struct vpmu_error *reterr)
{
	struct local *local = data;
	struct exits_reading reading = {};
	int r = read_exits(local, VPMU_SINCE_LAST, &reading, reterr);

	if (r >= 0)
		exits_output_interval(local->output, &reading);
	return r;
}

static int write_flamegraph(struct vpmu_exits *exits, const char *path, bool by_count, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_flamegraph_opts, opts, .by_count = by_count);
	_new_file_ struct new_file file = {};
	int r;

	r = new_file_open(&file, path, 0666, reterr);
	if (r < 0)
		return r;
	return new_file_finish(&file, vpmu_flamegraph_exits(exits, &opts, file.fd, reterr), reterr);
}

/* An ordinary user, whom vpmud would have told the rest. */
static void hint_at_privileges(const struct exits_args *args, int code, struct vpmu_error *error)
{
	if ((code == -EPERM || code == -EACCES) && (args->keys & EXITS_STACKS || args->fold || args->flamegraph))
		error_hint(error, "run as root, or with CAP_BPF and CAP_PERFMON: vpmud has no call chains of exits");
}

static enum status exits_local(const struct exits_args *args, const struct name_list *operands,
			       struct exits_output *output)
{
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	__attribute__((cleanup(local_deinit))) struct local local = { .output = output };
	const struct watch watch = { .doing = "accounting", .duration_ns = args->duration_ns,
				     .interval_ms = args->interval_ms, .look = look, .tick = tick, .data = &local };
	struct exits_reading total = {};
	struct vpmu_error error = {};
	int r;

	if (vpmu_guests_new(NULL, &guests, &error) < 0)
		return say_error(&error);
	if (!operands->n && !args->all)
		return say_which_guest(guests, "; -a takes all");
	interrupt_catch();
	r = open_exits(args, operands, guests, &local.exits, &error);
	if (r < 0) {
		hint_at_privileges(args, r, &error);
		return say_error(&error);
	}
	if (*vpmu_exits_missing(local.exits))
		say("this kernel lacks the tracepoints %s", vpmu_exits_missing(local.exits));
	exits_output_begin(output, now_ns());
	r = watch_run(&watch, &error);
	if (r == -ESRCH)
		say("the guests are gone");
	if (read_exits(&local, VPMU_SINCE_START, &total, &error) < 0)
		return say_error(&error);
	if (exits_output_total(output, &total) < 0)
		return say_oom();
	if (r < 0 && r != -ESRCH)
		return say_error(&error);
	if (args->flamegraph && write_flamegraph(local.exits, args->flamegraph, args->fold == FOLD_COUNT, &error) < 0)
		return say_error(&error);
	return STATUS_DONE;
}

/* Call chains, and files of guests' symbols, are this user's affair. */
static bool wants_local(const struct exits_args *args)
{
	const struct guest_file_args *files = &args->files;

	return args->keys & EXITS_STACKS || args->fold || args->flamegraph || files->kallsyms.n || files->modules.n || files->vmlinux.n ||
	       files->kaslr.n || files->images.n || files->roots.n;
}

static enum status run_exits(const void *opaque, const struct name_list *operands)
{
	const struct exits_args *args = opaque;
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	struct exits_output output = { .json = args->common.json,
				       .intervals = args->interval_ms,
				       .histograms = args->histograms,
				       .nested = args->nested,
				       .pmu = args->pmu,
				       .fold = args->fold,
				       .keys = args->keys };
	enum status status;

	if (!args->keys || (args->nested && args->common.json))
		output.keys |= 1u << VPMU_EXIT_REASON;
	if (args->nested)
		output.keys |= SHAPE_NESTED_KEYS;
	if (wants_local(args) && args->remote.socket)
		return say_usage("vpmud has no call chains of exits and takes no --guest-... files: leave out --socket");
	if (!wants_local(args)) {
		status = remote_open(&args->remote, args->interval_ms, &client);
		if (status != STATUS_DONE)
			return status;
	}
	if (!client)
		return exits_local(args, operands, &output);
	if (!operands->n && !args->all)
		return say_which_remote_guest(client);
	interrupt_catch();
	return exits_remote(client, args->all ? &(struct name_list){} : operands, account_keys(args) | 1u << VPMU_EXIT_REASON,
			    args->interval_ms, args->duration_ns, &output);
}

const struct command command_exits = {
	.name = "exits",
	.summary = "VM exits of each vCPU: how many, how long, what about",
	.operands = "[GUEST...]",
	.groups =
		(const struct option_group[]){
			{ exits_options, 0 },
			{ guest_file_options, FIELD(files) },
			{ remote_options, FIELD(remote) },
			{ common_options, 0 },
			{},
		},
	.args_bytes = sizeof(struct exits_args),
	.run = run_exits,
};

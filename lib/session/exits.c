/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/exits.h>

#include "format/exit_reason.h"
#include "guest/vcpu_time.h"
#include "host/exit_probe.h"
#include "session/count_target.h"
#include "session/exit_rows.h"
#include "session/exit_stacks.h"
#include "session/follow.h"
#include "session/roster.h"
#include "sym/symbolizer.h"
#include "util/error.h"
#include "util/log.h"
#include "util/macro.h"

#define DEFAULT_ROWS	8192
#define DEFAULT_VCPUS	64
#define MAX_ROWS	(1u << 20)
#define MAX_VCPUS	(1u << 14)
#define KIND_OF(key)	((uint32_t)(key) - 1) /* enum vpmu_bpf_exit_kind */
#define KEY_OF(kind)	((enum vpmu_exit_key)((kind) + 1))
#define NESTED_KEYS	(1u << VPMU_EXIT_TRIP | 1u << VPMU_EXIT_ANCILLARY | 1u << VPMU_EXIT_RUN)
/* What is to be had where exits are not. */
#define EVENT_KINDS                                                                                \
	(1u << VPMU_BPF_EXIT_MSR | 1u << VPMU_BPF_EXIT_PORT | 1u << VPMU_BPF_EXIT_MMIO |           \
	 1u << VPMU_BPF_EXIT_CPUID | 1u << VPMU_BPF_EXIT_HYPERCALL | 1u << VPMU_BPF_EXIT_VECTOR)
#define RAN_FOR_SURE_NS 20000000 /* some timer interrupts' worth */

_Static_assert(KIND_OF(VPMU_EXIT_USER) == VPMU_BPF_EXIT_USER &&
		       KIND_OF(VPMU_EXIT_MSR) == VPMU_BPF_EXIT_MSR &&
		       VPMU_EXIT_KEY_COUNT == VPMU_BPF_EXIT_ALL_KINDS + 1,
	       "keys are the program's kinds, behind the reason");

/* What is not told by rows. */
struct totals {
	uint64_t exits, entries, lost_entries, lost_exits, unfit, unsampled;
};

struct vpmu_exits {
	struct vpmu_exits_opts opts;
	char *proc_path;
	struct roster roster;
	VEC(struct exit_thread) threads;
	struct exit_rows rows;
	struct exit_stacks stacks;
	struct exit_probe *probe; /* once started */
	struct vpmu_symbolizer *symbolizer;
	struct vpmu_bpf_exit_thread *sums; /* of the thread that is being read */
	uint64_t start_ns, last_ns;
	struct totals ended, all; /* of threads that ended; with the living, as of the last reading */
	char silent[200];
};

/* ---- life ---- */

VPMU_API struct vpmu_exits *vpmu_exits_free(struct vpmu_exits *exits)
{
	if (!exits)
		return NULL;
	exit_probe_free(exits->probe);
	exit_rows_deinit(&exits->rows);
	exit_stacks_deinit(&exits->stacks);
	vec_free(&exits->threads);
	roster_deinit(&exits->roster);
	symbolizer_free(exits->symbolizer);
	free(exits->sums);
	free(exits->proc_path);
	free(exits);
	return NULL;
}
DEFINE_CLEANUP(struct vpmu_exits *, vpmu_exits_free)

static int check_opts(const struct vpmu_exits_opts *opts, struct vpmu_error *reterr)
{
	if (!opts_valid(opts, sizeof(*opts)) ||
	    (opts && opts->guests.sz && !opts_valid(&opts->guests, sizeof(opts->guests))))
		return error_set(reterr, -EINVAL, "options for exits of a newer version of this library");
	if (opts && opts->keys >> VPMU_EXIT_KEY_COUNT)
		return error_set(reterr, -EINVAL, "exits: unknown keys 0x%x", opts->keys);
	if (opts && (opts->max_rows > MAX_ROWS || opts->max_vcpus > MAX_VCPUS))
		return error_set(reterr, -EINVAL, "exits: at most %u rows and %u vCPUs", MAX_ROWS, MAX_VCPUS);
	return 0;
}

VPMU_API int vpmu_exits_new(const struct vpmu_exits_opts *opts, struct vpmu_exits **ret_exits,
			    struct vpmu_error *reterr)
{
	_cleanup_(vpmu_exits_freep) struct vpmu_exits *exits = NULL;
	int r = check_opts(opts, reterr);

	if (r < 0)
		return r;
	exits = calloc(1, sizeof(*exits));
	if (!exits)
		return error_oom(reterr);
	opts_take(&exits->opts, opts);
	if (exits->opts.keys & NESTED_KEYS)
		exits->opts.keys |= NESTED_KEYS;
	exits->proc_path = strdup(exits->opts.guests.proc_path ? exits->opts.guests.proc_path : "/proc");
	exits->sums = malloc(sizeof(*exits->sums));
	if (!exits->proc_path || !exits->sums || exit_rows_init(&exits->rows) < 0)
		return error_oom(reterr);
	r = symbolizer_new(exits->opts.symbolizer.sz ? &exits->opts.symbolizer : NULL, &exits->symbolizer,
			   reterr);
	if (r < 0)
		return r;
	*ret_exits = take_ptr(exits);
	return 0;
}

/* ---- threads that come and go ---- */

static struct exit_thread *find_thread(const struct vpmu_exits *exits, pid_t tid)
{
	vec_for_each (thread, &exits->threads)
		if (thread->tid == tid && !thread->ended)
			return thread;
	return NULL;
}

/* How long the thread has been on a CPU, by the scheduler's account. */
static void look_at_time(const struct vpmu_exits *exits, struct exit_thread *thread)
{
	const struct roster_guest *guest = exits->roster.guests.items[thread->guest];
	struct vcpu_time time;

	if (guest->proc_fd < 0 || vcpu_time_read(guest->proc_fd, thread->tid, &time) < 0)
		return;
	thread->ran_ns = time.has_sched ? time.run_ns : time.user_ns + time.system_ns;
	if (!thread->ran_known)
		thread->ran_before_ns = thread->ran_ns;
	thread->ran_known = true;
}

static int account_thread(struct vpmu_exits *exits, struct exit_thread *thread, struct vpmu_error *reterr)
{
	int r = exit_probe_add_thread(exits->probe, thread->tid);

	if (r == -E2BIG)
		return error_set(reterr, r, "exits of more vCPUs than there is room for (max_vcpus)");
	if (r < 0)
		return error_set(reterr, r, "cannot account the exits of thread %d: %s", (int)thread->tid,
				 strerror(-r));
	look_at_time(exits, thread);
	return 0;
}

static int open_threads(struct vpmu_exits *exits, uint32_t index, struct vpmu_error *reterr)
{
	const struct roster_guest *guest = exits->roster.guests.items[index];

	for (size_t i = 0; i < guest->vcpus.n; i++) {
		const struct vpmu_vcpu_info *vcpu = &guest->vcpus.items[i];
		struct exit_thread *thread = find_thread(exits, vcpu->tid);
		int r;

		if (!tasks_have(&guest->threads, vcpu->tid))
			continue; /* a vCPU that was */
		if (thread) {
			thread->vcpu = vcpu->index; /* it may have got its name since */
			continue;
		}
		if (!vec_push(&exits->threads, (struct exit_thread){ .tid = vcpu->tid, .guest = index,
								      .vcpu = vcpu->index }))
			return error_oom(reterr);
		if (!exits->probe)
			continue;
		r = account_thread(exits, &exits->threads.items[exits->threads.n - 1], reterr);
		if (r < 0) {
			exits->threads.n--;
			return r;
		}
	}
	return 0;
}

/* ---- reading ---- */

struct detail_reading {
	struct vpmu_exits *exits;
	uint32_t epoch;
};

static int on_detail(const struct vpmu_bpf_exit_key *key, const struct vpmu_bpf_exit_row *row, void *data)
{
	const struct detail_reading *reading = data;
	struct vpmu_exits *exits = reading->exits;
	const struct exit_thread *thread = find_thread(exits, (pid_t)key->tid);

	if (!thread || key->kind >= VPMU_BPF_EXIT_ALL_KINDS)
		return 0;
	return exit_rows_update(&exits->rows, (uint32_t)(thread - exits->threads.items), thread->isa,
				KEY_OF(key->kind), key->value, row, reading->epoch);
}

static int on_sample(const struct vpmu_bpf_sample *sample, void *data)
{
	struct vpmu_exits *exits = data;
	const struct exit_thread *thread = find_thread(exits, (pid_t)sample->tid);

	if (!thread)
		return 0;
	return exit_stacks_add(&exits->stacks, (uint32_t)(thread - exits->threads.items), sample);
}

static int read_thread(struct vpmu_exits *exits, struct exit_thread *thread, uint32_t epoch,
		       struct totals *totals)
{
	struct vpmu_bpf_exit_thread *sums = exits->sums;

	if (exit_probe_read(exits->probe, thread->tid, sums) < 0)
		return 0;
	if (sums->isa)
		thread->isa = sums->isa;
	totals->exits += sums->n_exits;
	totals->entries += sums->n_entries;
	totals->lost_entries += sums->n_lost_entries;
	totals->lost_exits += sums->n_lost_exits;
	totals->unfit += sums->n_unfit;
	totals->unsampled += sums->n_unsampled;
	for (uint32_t i = 0; i < sums->n_rows && i < VPMU_BPF_EXIT_ROWS; i++) {
		int r = exit_rows_update(&exits->rows, (uint32_t)(thread - exits->threads.items),
					 thread->isa, VPMU_EXIT_REASON, (uint32_t)sums->rows[i].code,
					 &sums->rows[i], epoch);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The last look at a thread that is gone: what it did until then is in the sums still. */
static int end_thread(struct vpmu_exits *exits, struct exit_thread *thread)
{
	int r = 0;

	if (exits->probe) {
		struct detail_reading reading = { exits, exit_probe_next_epoch(exits->probe) };

		r = exit_probe_drain(exits->probe, on_sample, exits);
		if (r == 0)
			r = read_thread(exits, thread, reading.epoch, &exits->ended);
		if (r == 0)
			r = exit_probe_each_detail(exits->probe, on_detail, &reading);
		exit_probe_remove_thread(exits->probe, thread->tid);
	}
	thread->ended = true;
	return r;
}

static int end_threads(struct vpmu_exits *exits, uint32_t index)
{
	const struct roster_guest *guest = exits->roster.guests.items[index];
	int r = 0;

	vec_for_each (thread, &exits->threads)
		if (r == 0 && thread->guest == index && !thread->ended &&
		    (guest->proc_fd < 0 || !tasks_have(&guest->threads, thread->tid)))
			r = end_thread(exits, thread);
	return r;
}

static int follow(struct vpmu_exits *exits, struct vpmu_error *reterr)
{
	for (uint32_t i = 0; i < exits->roster.guests.n; i++) {
		int change, r;

		if (exits->roster.guests.items[i]->proc_fd < 0)
			continue;
		change = follow_guest(&exits->roster, i);
		if (change < 0)
			return error_oom(reterr);
		if (change == FOLLOW_SAME)
			continue;
		if (end_threads(exits, i) < 0)
			return error_oom(reterr);
		r = change == FOLLOW_CHANGED ? open_threads(exits, i, reterr) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static bool all_gone(const struct vpmu_exits *exits)
{
	vec_for_each (guest, &exits->roster.guests)
		if ((*guest)->proc_fd >= 0)
			return false;
	return true;
}

/* ---- guests ---- */

static int gone(const struct vpmu_guest_info *info, struct vpmu_error *reterr)
{
	return error_set(reterr, -ESRCH, "guest '%s' (process %d) is gone", info->name, (int)info->pid);
}

VPMU_API int vpmu_exits_add_guest(struct vpmu_exits *exits, const struct vpmu_guest_info *info,
				  struct vpmu_error *reterr)
{
	int fd, index, r;

	if (roster_find(&exits->roster, info) != VPMU_NO_GUEST)
		return 0;
	fd = follow_open(exits->proc_path, info);
	if (fd == -ESRCH)
		return gone(info, reterr);
	if (fd < 0)
		return error_set(reterr, fd, "cannot open process %d of guest '%s': %s", (int)info->pid,
				 info->name, strerror(-fd));
	index = roster_add(&exits->roster, info, fd);
	if (index < 0)
		return error_oom(reterr);
	if (symbolizer_set_guest(exits->symbolizer, (uint32_t)index, info) < 0 ||
	    symbolizer_guest_runs(exits->symbolizer, (uint32_t)index, info) < 0)
		return error_oom(reterr);
	if (exits->opts.symbolizer.in_background && exits->opts.keys >> VPMU_EXIT_ADDRESS & 1)
		(void)symbolizer_guest_kernel(exits->symbolizer, (uint32_t)index); /* begins to look for it */
	r = follow_guest(&exits->roster, (uint32_t)index);
	if (r == FOLLOW_GONE)
		return gone(info, reterr);
	if (r < 0)
		return error_oom(reterr);
	return open_threads(exits, (uint32_t)index, reterr);
}

/* ---- accounting ---- */

VPMU_API int vpmu_exits_start(struct vpmu_exits *exits, struct vpmu_error *reterr)
{
	struct exit_probe_plan plan = {
		/* The reason's bit falls out; why KVM_RUN returned is always noted. */
		.kinds = exits->opts.keys >> 1 | 1u << VPMU_BPF_EXIT_USER,
		.max_details = exits->opts.max_rows ? exits->opts.max_rows : DEFAULT_ROWS,
		.max_threads = exits->opts.max_vcpus,
		.chains = exits->opts.stacks,
	};
	int r;

	if (exits->probe)
		return error_set(reterr, -EINVAL, "accounting of exits was started already");
	if (exits->roster.guests.n == 0)
		return error_set(reterr, -EINVAL, "no exits to account: no guest was added");
	r = follow(exits, reterr);
	if (r < 0)
		return r;
	if (exit_probe_mute())
		plan.kinds |= EVENT_KINDS;
	if (!plan.max_threads)
		plan.max_threads = (uint32_t)MIN(MAX(2 * exits->threads.n, (size_t)DEFAULT_VCPUS),
						 (size_t)MAX_VCPUS);
	r = exit_probe_open(&plan, &exits->probe, reterr);
	if (r < 0)
		return r;
	exits->start_ns = exits->last_ns = count_now_ns();
	vec_for_each (thread, &exits->threads) {
		if (thread->ended)
			continue;
		r = account_thread(exits, thread, reterr);
		if (r < 0)
			return r;
	}
	log_debug("accounting the exits of %zu vCPUs", exits->threads.n);
	return 0;
}

VPMU_API int vpmu_exits_refresh(struct vpmu_exits *exits, struct vpmu_error *reterr)
{
	int r;

	if (!exits->probe)
		return error_set(reterr, -EINVAL, "accounting of exits was not started");
	r = follow(exits, reterr);
	/* When they are gone it cannot be asked any more. */
	vec_for_each (thread, &exits->threads)
		if (!thread->ended)
			look_at_time(exits, thread);
	if (r == 0 && exit_probe_drain(exits->probe, on_sample, exits) < 0)
		return error_oom(reterr);
	if (r == 0 && all_gone(exits))
		return error_set(reterr, -ESRCH, "every guest is gone");
	return r;
}

/* Takes in what the kernel has of all living threads. */
static int read_all(struct vpmu_exits *exits)
{
	struct detail_reading reading = { exits, exit_probe_next_epoch(exits->probe) };

	if (exit_probe_drain(exits->probe, on_sample, exits) < 0)
		return -ENOMEM;
	exits->all = exits->ended;
	vec_for_each (thread, &exits->threads) {
		int r = thread->ended ? 0 : read_thread(exits, thread, reading.epoch, &exits->all);

		if (r < 0)
			return r;
		if (!thread->ended)
			look_at_time(exits, thread);
	}
	return exit_probe_each_detail(exits->probe, on_detail, &reading);
}

/*
 * Exits come with every timer interrupt, so a vCPU that ran cannot have been without. One that hardly
 * ran may have; but where none are to be expected, its other events tell that it was there.
 */
static void judge_silence(struct vpmu_exits *exits)
{
	uint64_t ran_ns = 0;

	exits->silent[0] = '\0';
	if (exits->all.exits || exits->all.entries)
		return;
	vec_for_each (thread, &exits->threads)
		ran_ns += thread->ran_ns - thread->ran_before_ns;
	if (ran_ns >= RAN_FOR_SURE_NS)
		snprintf(exits->silent, sizeof(exits->silent),
			 "this KVM's tracepoints kvm_exit and kvm_entry do not fire (vCPUs ran for %.2f s without one): no exits by reason, and no times",
			 (double)ran_ns / 1e9);
	else if (exits->rows.entries.n && exit_probe_mute())
		snprintf(exits->silent, sizeof(exits->silent),
			 "this KVM's tracepoints kvm_exit and kvm_entry do not fire (others did, none of these): no exits by reason, and no times");
}

VPMU_API int vpmu_exits_read(struct vpmu_exits *exits, enum vpmu_count_since since,
			     struct vpmu_exit_rows *ret_rows, struct vpmu_error *reterr)
{
	struct vpmu_exit_rows rows;
	int r;

	if (!exits->probe)
		return error_set(reterr, -EINVAL, "accounting of exits was not started");
	r = follow(exits, reterr);
	if (r < 0)
		return r;
	if (read_all(exits) < 0 ||
	    exit_rows_make(&exits->rows, exits->threads.items, exits->threads.n, since) < 0)
		return error_oom(reterr);
	judge_silence(exits);
	rows = (struct vpmu_exit_rows){
		.start_ns = since == VPMU_SINCE_LAST ? exits->last_ns : exits->start_ns,
		.end_ns = count_now_ns(),
		.n = exits->rows.items.n,
		.items = exits->rows.items.items,
		.missed = exit_probe_missed(exits->probe),
		.unfit = exits->all.unfit,
		.unsampled = exits->all.unsampled + exits->stacks.n_unfit,
		.lost_entries = exits->all.lost_entries,
		.lost_exits = exits->all.lost_exits,
	};
	if (since == VPMU_SINCE_LAST) {
		exits->last_ns = rows.end_ns;
		exit_rows_told(&exits->rows);
		vec_for_each (thread, &exits->threads)
			thread->told = thread->ended;
	}
	*ret_rows = rows;
	return 0;
}

VPMU_API int vpmu_exits_forget_ended(struct vpmu_exits *exits)
{
	_free_ uint32_t *places = calloc(exits->threads.n + 1, sizeof(*places));
	uint32_t kept = 0;
	size_t i = 0;
	int r;

	if (exits->opts.stacks)
		return -EINVAL;
	if (!places)
		return -ENOMEM;
	vec_for_each (thread, &exits->threads)
		places[i++] = thread->told ? EXIT_ROWS_NOWHERE : kept++;
	r = kept < exits->threads.n ? exit_rows_renumber(&exits->rows, places) : 0;
	if (r < 0)
		return r;
	for (i = 0; i < exits->threads.n; i++)
		if (places[i] != EXIT_ROWS_NOWHERE)
			exits->threads.items[places[i]] = exits->threads.items[i];
	exits->threads.n = kept;
	return 0;
}

/* ---- stacks ---- */

static struct vpmu_exit_stack make_stack(const struct vpmu_exits *exits, const struct exit_stack *stack)
{
	const struct exit_thread *thread = &exits->threads.items[stack->thread];
	uint32_t code = VPMU_BPF_EXIT_ID_CODE(stack->id), kind1 = VPMU_BPF_EXIT_ID_KIND1(stack->id);
	const char *reason = kind1 ? vpmu_exit_key_name(kind1) :
				     exit_reason_name(VPMU_BPF_EXIT_ID_ISA(stack->id), code);

	return (struct vpmu_exit_stack){
		.guest = thread->guest,
		.vcpu = thread->vcpu,
		.tid = thread->tid,
		.nested = VPMU_BPF_EXIT_ID_NESTED(stack->id),
		.code = code,
		.reason = reason ? reason : "unknown",
		.user = stack->user,
		.is_cut = stack->end != VPMU_BPF_END_COMPLETE,
		.n_addresses = stack->n_addresses,
		.addresses = stack->n_addresses ? exits->stacks.addresses.items + stack->first : NULL,
		.samples = stack->samples,
		.count = stack->count,
		.total_ns = stack->total_ns,
	};
}

static int compare_stacks(const void *a, const void *b)
{
	const struct exit_stack *x = *(const struct exit_stack *const *)a,
				*y = *(const struct exit_stack *const *)b;

	if (x->total_ns != y->total_ns)
		return x->total_ns < y->total_ns ? 1 : -1;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->first > y->first) - (x->first < y->first);
}

VPMU_API int vpmu_exits_each_stack(struct vpmu_exits *exits, vpmu_exit_stack_fn fn, void *data)
{
	size_t n = exits->stacks.items.n;
	_free_ const struct exit_stack **sorted = NULL;
	int r = 0;

	if (!exits->opts.stacks)
		return -EINVAL;
	sorted = calloc(n ? n : 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &exits->stacks.items.items[i];
	qsort(sorted, n, sizeof(*sorted), compare_stacks);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct vpmu_exit_stack stack = make_stack(exits, sorted[i]);

		r = fn(&stack, data);
	}
	return MIN(r, 0);
}

/* ---- questions ---- */

VPMU_API const struct vpmu_guest_info *vpmu_exits_guest(const struct vpmu_exits *exits, size_t i)
{
	return i < exits->roster.guests.n ? &exits->roster.guests.items[i]->info : NULL;
}

VPMU_API const char *vpmu_exits_silent(const struct vpmu_exits *exits)
{
	return exits->silent;
}

VPMU_API const char *vpmu_exits_missing(const struct vpmu_exits *exits)
{
	return exits->probe ? exit_probe_missing(exits->probe) : "";
}

VPMU_API struct vpmu_symbolizer *vpmu_exits_symbolizer(struct vpmu_exits *exits)
{
	return exits->symbolizer;
}

VPMU_API void vpmu_exits_symbol(struct vpmu_exits *exits, uint32_t guest, uint64_t address,
				struct vpmu_frame *ret_frame)
{
	symbolizer_frame(exits->symbolizer,
			 (int64_t)address < 0 ? VPMU_SIDE_GUEST_KERNEL : VPMU_SIDE_GUEST_USER, guest,
			 SPACE_NONE, address, false, ret_frame);
}

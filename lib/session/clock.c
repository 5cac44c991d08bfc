/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/clock.h>

#include "host/clock_probe.h"
#include "session/clock_target.h"
#include "session/count_target.h"
#include "session/follow.h"
#include "session/roster.h"
#include "util/error.h"
#include "util/macro.h"

struct vpmu_clock {
	struct clock_probe *probe; /* NULL = the scheduler's accounts only */
	char missing[800]; /* … and why, and what to do */
	struct roster roster;
	VEC(struct clock_target *) targets; /* by guest, vCPU, thread */
	struct clock_target *by_clock[CLOCK_PROBE_THREADS];
	struct intern *names; /* of threads that vCPUs waited for, of reasons without one */
	VEC(struct vpmu_clock_vcpu) rows;
	char *proc_path;
	bool started;
	uint64_t start_ns, last_ns;
};

/* ---- life ---- */

VPMU_API struct vpmu_clock *vpmu_clock_free(struct vpmu_clock *clock)
{
	if (!clock)
		return NULL;
	vec_for_each (target, &clock->targets)
		clock_target_free(*target);
	vec_free(&clock->targets);
	vec_free(&clock->rows);
	roster_deinit(&clock->roster);
	clock_probe_free(clock->probe);
	intern_free(clock->names);
	free(clock->proc_path);
	free(clock);
	return NULL;
}
DEFINE_CLEANUP(struct vpmu_clock *, vpmu_clock_free)

VPMU_API int vpmu_clock_new(const struct vpmu_clock_opts *user_opts, struct vpmu_clock **ret_clock,
			    struct vpmu_error *reterr)
{
	_cleanup_(vpmu_clock_freep) struct vpmu_clock *clock = NULL;
	struct vpmu_error why = {};
	struct vpmu_clock_opts opts;

	if (!opts_valid(user_opts, sizeof(*user_opts)) ||
	    (user_opts && user_opts->guests.sz &&
	     !opts_valid(&user_opts->guests, sizeof(user_opts->guests))))
		return error_set(reterr, -EINVAL,
				 "options for a clock of a newer version of this library");
	opts_take(&opts, user_opts);
	clock = calloc(1, sizeof(*clock));
	if (!clock)
		return error_oom(reterr);
	clock->proc_path = strdup(opts.guests.proc_path ? opts.guests.proc_path : "/proc");
	clock->names = intern_new();
	if (!clock->proc_path || !clock->names)
		return error_oom(reterr);
	if (opts.no_bpf)
		snprintf(clock->missing, sizeof(clock->missing), "it was not asked for");
	else if (clock_probe_open(&clock->probe, &why) == -ENOMEM)
		return error_oom(reterr);
	else if (!clock->probe)
		snprintf(clock->missing, sizeof(clock->missing), "%s%s%s", why.text, why.hint[0] ? "; " : "", why.hint);
	*ret_clock = take_ptr(clock);
	return 0;
}

/* ---- threads that come and go ---- */

static struct clock_target *find_target(const struct vpmu_clock *clock, uint32_t index, pid_t tid)
{
	vec_for_each (target, &clock->targets)
		if ((*target)->guest == index && (*target)->tid == tid && !(*target)->ended)
			return *target;
	return NULL;
}

static int compare_targets(const void *a, const void *b)
{
	const struct clock_target *x = *(struct clock_target *const *)a,
				  *y = *(struct clock_target *const *)b;

	if (x->guest != y->guest)
		return x->guest < y->guest ? -1 : 1;
	if (x->vcpu != y->vcpu)
		return x->vcpu < y->vcpu ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

static int take_competitor(const struct vpmu_bpf_competitor_key *key,
			   const struct vpmu_bpf_competitor *value, void *data)
{
	struct vpmu_clock *clock = data;
	struct clock_target *target =
		key->clock < CLOCK_PROBE_THREADS ? clock->by_clock[key->clock] : NULL;

	return target ? clock_target_compete(target, clock->names, key->tid, value) : 0;
}

/* That they cannot be had takes nothing from what else there is. */
static int drain(struct vpmu_clock *clock)
{
	int r = clock->probe ? clock_probe_drain(clock->probe, take_competitor, clock) : 0;

	return r == -ENOMEM ? r : 0;
}

static void end_thread(struct vpmu_clock *clock, struct clock_target *target)
{
	if (target->clock >= 0)
		clock->by_clock[target->clock] = NULL;
	clock_target_end(target, clock->probe);
}

/* Returns whether the thread is new, or -ENOMEM. */
static int follow_thread(struct vpmu_clock *clock, uint32_t index,
			 const struct vpmu_vcpu_info *vcpu)
{
	const struct roster_guest *guest = clock->roster.guests.items[index];
	struct clock_target *target = find_target(clock, index, vcpu->tid);
	int r;

	if (target) {
		target->vcpu = vcpu->index; /* it may have got its name since */
		return 0;
	}
	if (!vec_reserve(&clock->targets, 1))
		return -ENOMEM;
	r = clock_target_new(clock->probe, vcpu->tid, guest->proc_fd, &target);
	if (r < 0)
		return r;
	target->guest = index;
	target->vcpu = vcpu->index;
	target->now.is_emulated = guest->info.accel == VPMU_ACCEL_TCG;
	if (target->clock >= 0)
		clock->by_clock[target->clock] = target;
	(void)vec_push(&clock->targets, target);
	return 1;
}

static int follow_threads(struct vpmu_clock *clock, uint32_t index)
{
	const struct roster_guest *guest = clock->roster.guests.items[index];
	bool is_new = false;

	for (size_t i = 0; i < guest->vcpus.n; i++) {
		int r;

		if (!tasks_have(&guest->threads, guest->vcpus.items[i].tid))
			continue; /* a vCPU that was */
		r = follow_thread(clock, index, &guest->vcpus.items[i]);
		if (r < 0)
			return r;
		is_new |= r > 0;
	}
	if (is_new && clock->probe)
		clock_probe_look(clock->probe, guest->info.pid);
	if (clock->targets.n)
		qsort(clock->targets.items, clock->targets.n, sizeof(*clock->targets.items),
		      compare_targets);
	return 0;
}

static void end_threads(struct vpmu_clock *clock, uint32_t index)
{
	const struct roster_guest *guest = clock->roster.guests.items[index];

	vec_for_each (target, &clock->targets)
		if ((*target)->guest == index && !(*target)->ended &&
		    (guest->proc_fd < 0 || !tasks_have(&guest->threads, (*target)->tid)))
			end_thread(clock, *target);
}

/* Those of guest @index, or (VPMU_NO_GUEST) those that have ended, were never there. */
static void drop_targets(struct vpmu_clock *clock, uint32_t index)
{
	size_t kept = 0;

	for (size_t i = 0; i < clock->targets.n; i++) {
		struct clock_target *target = clock->targets.items[i];

		if (index == VPMU_NO_GUEST ? !target->ended : target->guest != index) {
			clock->targets.items[kept++] = target;
			continue;
		}
		if (!target->ended)
			end_thread(clock, target);
		clock_target_free(target);
	}
	clock->targets.n = kept;
}

static int follow(struct vpmu_clock *clock)
{
	/* Before clocks of threads that ended become others'. */
	if (drain(clock) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < clock->roster.guests.n; i++) {
		int change, r = 0;

		if (clock->roster.guests.items[i]->proc_fd < 0)
			continue;
		change = follow_guest(&clock->roster, i);
		if (change < 0)
			return change;
		if (change == FOLLOW_SAME)
			continue;
		end_threads(clock, i);
		if (change == FOLLOW_CHANGED)
			r = follow_threads(clock, i);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool all_gone(const struct vpmu_clock *clock)
{
	vec_for_each (guest, &clock->roster.guests)
		if ((*guest)->proc_fd >= 0)
			return false;
	return true;
}

static int gone(const struct vpmu_guest_info *info, struct vpmu_error *reterr)
{
	return error_set(reterr, -ESRCH, "guest '%s' (process %d) is gone", info->name,
			 (int)info->pid);
}

VPMU_API int vpmu_clock_add_guest(struct vpmu_clock *clock, const struct vpmu_guest_info *info,
				  struct vpmu_error *reterr)
{
	int fd, index, r;

	if (roster_find(&clock->roster, info) != VPMU_NO_GUEST)
		return 0;
	fd = follow_open(clock->proc_path, info);
	if (fd == -ESRCH)
		return gone(info, reterr);
	if (fd < 0)
		return error_set(reterr, fd, "cannot open process %d of guest '%s': %s",
				 (int)info->pid, info->name, strerror(-fd));
	index = roster_add(&clock->roster, info, fd);
	if (index < 0)
		return error_oom(reterr);
	r = follow_guest(&clock->roster, (uint32_t)index);
	if (r == FOLLOW_CHANGED || r == FOLLOW_SAME)
		r = follow_threads(clock, (uint32_t)index);
	if (r == 0)
		return 0;
	roster_bury(&clock->roster, (uint32_t)index);
	drop_targets(clock, (uint32_t)index);
	roster_drop_last(&clock->roster);
	return r == FOLLOW_GONE ? gone(info, reterr) : error_oom(reterr);
}

/* ---- times ---- */

static int proc_fd_of(const struct vpmu_clock *clock, const struct clock_target *target)
{
	return clock->roster.guests.items[target->guest]->proc_fd;
}

static void look(struct vpmu_clock *clock)
{
	vec_for_each (target, &clock->targets)
		clock_target_look(*target, clock->probe, proc_fd_of(clock, *target));
}

VPMU_API int vpmu_clock_start(struct vpmu_clock *clock, struct vpmu_error *reterr)
{
	if (clock->started)
		return error_set(reterr, -EINVAL, "the clock was started already");
	if (clock->roster.guests.n == 0)
		return error_set(reterr, -EINVAL, "nothing to follow: no guest was added");
	if (follow(clock) < 0)
		return error_oom(reterr);
	drop_targets(clock, VPMU_NO_GUEST);
	clock->started = true;
	clock->start_ns = clock->last_ns = count_now_ns();
	look(clock);
	/* What was waited for before the look is of no interest; at the end it is the other way round. */
	if (drain(clock) < 0)
		return error_oom(reterr);
	vec_for_each (target, &clock->targets)
		clock_target_begin(*target);
	return 0;
}

static int refresh(struct vpmu_clock *clock, struct vpmu_error *reterr)
{
	if (!clock->started)
		return error_set(reterr, -EINVAL, "the clock was not started");
	if (follow(clock) < 0)
		return error_oom(reterr);
	look(clock);
	return 0;
}

VPMU_API int vpmu_clock_refresh(struct vpmu_clock *clock, struct vpmu_error *reterr)
{
	int r = refresh(clock, reterr);

	if (r == 0 && all_gone(clock))
		return error_set(reterr, -ESRCH, "every guest is gone");
	return r;
}

static int make_rows(struct vpmu_clock *clock, enum vpmu_count_since since)
{
	clock->rows.n = 0;
	vec_for_each (target, &clock->targets) {
		struct vpmu_clock_vcpu row;

		if (since == VPMU_SINCE_LAST && (*target)->told)
			continue;
		if (clock_target_row(*target, clock->names, since, &row) < 0 ||
		    !vec_push(&clock->rows, row))
			return -ENOMEM;
	}
	return 0;
}

VPMU_API int vpmu_clock_read(struct vpmu_clock *clock, enum vpmu_count_since since,
			     struct vpmu_clock_times *ret_times, struct vpmu_error *reterr)
{
	struct vpmu_clock_times times = {};
	int r = refresh(clock, reterr);

	if (r < 0)
		return r;
	if (make_rows(clock, since) < 0)
		return error_oom(reterr);
	times.start_ns = since == VPMU_SINCE_LAST ? clock->last_ns : clock->start_ns;
	times.end_ns = count_now_ns();
	times.n = clock->rows.n;
	times.items = clock->rows.items;
	if (since == VPMU_SINCE_LAST) {
		clock->last_ns = times.end_ns;
		vec_for_each (target, &clock->targets)
			clock_target_told(*target);
	}
	*ret_times = times;
	return 0;
}

VPMU_API void vpmu_clock_forget_ended(struct vpmu_clock *clock)
{
	size_t kept = 0;

	for (size_t i = 0; i < clock->targets.n; i++) {
		struct clock_target *target = clock->targets.items[i];

		if (target->told)
			clock_target_free(target);
		else
			clock->targets.items[kept++] = target;
	}
	clock->targets.n = kept;
	clock->rows.n = 0;
}

/* ---- questions ---- */

VPMU_API const struct vpmu_guest_info *vpmu_clock_guest(const struct vpmu_clock *clock, size_t i)
{
	return i < clock->roster.guests.n ? &clock->roster.guests.items[i]->info : NULL;
}

VPMU_API const char *vpmu_clock_missing(const struct vpmu_clock *clock)
{
	return clock->probe ? "" : clock->missing;
}

VPMU_API const char *vpmu_clock_part_name(enum vpmu_clock_part part)
{
	static const char *const names[VPMU_CLOCK_PART_COUNT] = {
		[VPMU_CLOCK_GUEST] = "guest",	  [VPMU_CLOCK_EXIT] = "exit",
		[VPMU_CLOCK_QEMU] = "qemu",	  [VPMU_CLOCK_POLL] = "poll",
		[VPMU_CLOCK_HALT] = "halt",	  [VPMU_CLOCK_STEAL] = "steal",
		[VPMU_CLOCK_BLOCKED] = "blocked", [VPMU_CLOCK_BLOCKED_KVM] = "blocked_kvm",
		[VPMU_CLOCK_ASLEEP] = "asleep",	  [VPMU_CLOCK_UNKNOWN] = "unknown",
	};

	return (size_t)part < VPMU_CLOCK_PART_COUNT ? names[part] : "?";
}

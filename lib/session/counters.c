/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vpmu/count.h>

#include "guest/kvm_stats_fd.h"
#include "session/count_plan.h"
#include "session/count_rows.h"
#include "session/count_target.h"
#include "session/follow.h"
#include "session/roster.h"
#include "util/error.h"
#include "util/macro.h"

struct vpmu_counters {
	struct count_plan plan;
	struct roster roster;
	VEC(struct count_target *) targets; /* by guest, vCPU, thread */
	struct intern *whys;		    /* why some have no value */
	struct count_rows rows;
	char *proc_path;
	bool started;
	uint64_t start_ns, last_ns;
};

/* ---- life ---- */

VPMU_API struct vpmu_counters *vpmu_counters_free(struct vpmu_counters *counters)
{
	if (!counters)
		return NULL;
	vec_for_each (target, &counters->targets)
		count_target_free(*target);
	vec_free(&counters->targets);
	vec_free(&counters->rows);
	roster_deinit(&counters->roster);
	count_plan_deinit(&counters->plan);
	intern_free(counters->whys);
	free(counters->proc_path);
	free(counters);
	return NULL;
}
DEFINE_CLEANUP(struct vpmu_counters *, vpmu_counters_free)

VPMU_API int vpmu_counters_new(const struct vpmu_counters_opts *user_opts,
			       struct vpmu_counters **ret_counters, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_counters_freep) struct vpmu_counters *counters = NULL;
	struct vpmu_counters_opts opts;
	int r;

	if (!opts_valid(user_opts, sizeof(*user_opts)) ||
	    (user_opts && user_opts->guests.sz &&
	     !opts_valid(&user_opts->guests, sizeof(user_opts->guests))))
		return error_set(reterr, -EINVAL,
				 "options for counting of a newer version of this library");
	opts_take(&opts, user_opts);
	counters = calloc(1, sizeof(*counters));
	if (!counters)
		return error_oom(reterr);
	r = count_plan_init(&counters->plan, opts.events, reterr);
	if (r < 0)
		return r;
	counters->whys = intern_new();
	counters->proc_path = strdup(opts.guests.proc_path ? opts.guests.proc_path : "/proc");
	if (!counters->whys || !counters->proc_path)
		return error_oom(reterr);
	*ret_counters = take_ptr(counters);
	return 0;
}

VPMU_API const struct vpmu_event_info *vpmu_counters_event(const struct vpmu_counters *counters,
							   size_t i)
{
	return i < counters->plan.counters.n ? &counters->plan.counters.items[i].info : NULL;
}

VPMU_API int vpmu_counters_withhold(struct vpmu_counters *counters, size_t i, const char *why)
{
	if (i >= counters->plan.counters.n || counters->roster.guests.n || !why || !*why)
		return -EINVAL;
	count_counter_withhold(&counters->plan.counters.items[i], -EBUSY, why);
	return 0;
}

/* ---- threads that come and go ---- */

static struct count_target *find_target(const struct vpmu_counters *counters, uint32_t index,
					pid_t tid)
{
	vec_for_each (target, &counters->targets)
		if ((*target)->guest == index && (*target)->tid == tid && !(*target)->ended)
			return *target;
	return NULL;
}

static int compare_targets(const void *a, const void *b)
{
	const struct count_target *x = *(struct count_target *const *)a,
				  *y = *(struct count_target *const *)b;

	if (x->guest != y->guest)
		return x->guest < y->guest ? -1 : 1;
	if (x->vcpu != y->vcpu)
		return x->vcpu < y->vcpu ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

static void open_stats(struct vpmu_counters *counters, const struct roster_guest *guest,
		       struct count_target *target, uint32_t index)
{
	size_t rank = 0, n = 0;

	if (!counters->plan.stats.n)
		return;
	/* Those of now: a vCPU that was has no file any more. */
	vec_for_each (vcpu, &guest->vcpus) {
		bool alive = tasks_have(&guest->threads, vcpu->tid);

		n += alive;
		rank += alive && vcpu->index < index;
	}
	count_target_set_stats(target, &counters->plan, counters->whys,
			       kvm_stats_fd_open(guest->proc_fd, guest->info.pid, index, rank, n));
}

static bool has_thread(int proc_fd, pid_t tid)
{
	char path[32];

	snprintf(path, sizeof(path), "task/%d", (int)tid);
	return faccessat(proc_fd, path, F_OK, 0) == 0;
}

static int open_thread(struct vpmu_counters *counters, uint32_t index,
		       const struct vpmu_vcpu_info *vcpu)
{
	const struct roster_guest *guest = counters->roster.guests.items[index];
	struct count_target *target = find_target(counters, index, vcpu->tid);
	int r;

	if (target) {
		target->vcpu = vcpu->index; /* it may have got its name since */
		return 0;
	}
	if (!vec_reserve(&counters->targets, 1))
		return -ENOMEM;
	r = count_target_new(&counters->plan, counters->whys, vcpu->tid, &target);
	if (r < 0)
		return r == -ESRCH ? 0 : r;
	/* Had it ended before, its number could be that of a stranger, on whom we count now. */
	if (!has_thread(guest->proc_fd, vcpu->tid)) {
		count_target_free(target);
		return 0;
	}
	target->guest = index;
	target->vcpu = vcpu->index;
	open_stats(counters, guest, target, vcpu->index);
	if (counters->started)
		count_target_start(target, &counters->plan, counters->whys, guest->proc_fd);
	(void)vec_push(&counters->targets, target);
	return 0;
}

static int open_threads(struct vpmu_counters *counters, uint32_t index)
{
	const struct roster_guest *guest = counters->roster.guests.items[index];

	for (size_t i = 0; i < guest->vcpus.n; i++) {
		int r;

		if (!tasks_have(&guest->threads, guest->vcpus.items[i].tid))
			continue; /* a vCPU that was */
		r = open_thread(counters, index, &guest->vcpus.items[i]);
		if (r < 0)
			return r;
	}
	if (counters->targets.n)
		qsort(counters->targets.items, counters->targets.n,
		      sizeof(*counters->targets.items), compare_targets);
	return 0;
}

static void end_threads(struct vpmu_counters *counters, uint32_t index)
{
	const struct roster_guest *guest = counters->roster.guests.items[index];

	vec_for_each (target, &counters->targets)
		if ((*target)->guest == index && !(*target)->ended &&
		    (guest->proc_fd < 0 || !tasks_have(&guest->threads, (*target)->tid)))
			count_target_end(*target, &counters->plan, counters->whys);
}

/* Before the start there is nothing to be kept of a thread that ended. */
static void drop_ended(struct vpmu_counters *counters)
{
	size_t kept = 0;

	for (size_t i = 0; i < counters->targets.n; i++) {
		struct count_target *target = counters->targets.items[i];

		if (target->ended)
			count_target_free(target);
		else
			counters->targets.items[kept++] = target;
	}
	counters->targets.n = kept;
}

static int follow(struct vpmu_counters *counters)
{
	for (uint32_t i = 0; i < counters->roster.guests.n; i++) {
		int change, r = 0;

		if (counters->roster.guests.items[i]->proc_fd < 0)
			continue;
		change = follow_guest(&counters->roster, i);
		if (change < 0)
			return change;
		if (change == FOLLOW_SAME)
			continue;
		end_threads(counters, i);
		if (change == FOLLOW_CHANGED)
			r = open_threads(counters, i);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool all_gone(const struct vpmu_counters *counters)
{
	vec_for_each (guest, &counters->roster.guests)
		if ((*guest)->proc_fd >= 0)
			return false;
	return true;
}

/* The guest added last, and its threads, were never there. */
static void remove_last(struct vpmu_counters *counters, uint32_t index)
{
	size_t kept = 0;

	roster_bury(&counters->roster, index);
	for (size_t i = 0; i < counters->targets.n; i++) {
		struct count_target *target = counters->targets.items[i];

		if (target->guest == index)
			count_target_free(target);
		else
			counters->targets.items[kept++] = target;
	}
	counters->targets.n = kept;
	roster_drop_last(&counters->roster);
}

static int gone(const struct vpmu_guest_info *info, struct vpmu_error *reterr)
{
	return error_set(reterr, -ESRCH, "guest '%s' (process %d) is gone", info->name,
			 (int)info->pid);
}

VPMU_API int vpmu_counters_add_guest(struct vpmu_counters *counters,
				     const struct vpmu_guest_info *info, struct vpmu_error *reterr)
{
	int fd, index, r;

	if (roster_find(&counters->roster, info) != VPMU_NO_GUEST)
		return 0;
	fd = follow_open(counters->proc_path, info);
	if (fd == -ESRCH)
		return gone(info, reterr);
	if (fd < 0)
		return error_set(reterr, fd, "cannot open process %d of guest '%s': %s",
				 (int)info->pid, info->name, strerror(-fd));
	index = roster_add(&counters->roster, info, fd);
	if (index < 0)
		return error_oom(reterr);
	r = follow_guest(&counters->roster, (uint32_t)index);
	if (r == FOLLOW_CHANGED || r == FOLLOW_SAME)
		r = open_threads(counters, (uint32_t)index);
	if (r == 0)
		return 0;
	remove_last(counters, (uint32_t)index);
	return r == FOLLOW_GONE ? gone(info, reterr) : error_oom(reterr);
}

/* ---- counting ---- */

VPMU_API int vpmu_counters_start(struct vpmu_counters *counters, struct vpmu_error *reterr)
{
	if (counters->started)
		return error_set(reterr, -EINVAL, "counting was started already");
	if (counters->roster.guests.n == 0)
		return error_set(reterr, -EINVAL, "nothing to count on: no guest was added");
	if (follow(counters) < 0)
		return error_oom(reterr);
	drop_ended(counters);
	counters->started = true;
	counters->start_ns = counters->last_ns = count_now_ns();
	vec_for_each (target, &counters->targets)
		count_target_start(*target, &counters->plan, counters->whys,
				   counters->roster.guests.items[(*target)->guest]->proc_fd);
	return 0;
}

static int refresh(struct vpmu_counters *counters, bool values, struct vpmu_error *reterr)
{
	if (!counters->started)
		return error_set(reterr, -EINVAL, "counting was not started");
	if (follow(counters) < 0)
		return error_oom(reterr);
	vec_for_each (target, &counters->targets)
		count_target_look(*target, &counters->plan, counters->whys,
				  counters->roster.guests.items[(*target)->guest]->proc_fd, values);
	return 0;
}

VPMU_API int vpmu_counters_refresh(struct vpmu_counters *counters, struct vpmu_error *reterr)
{
	int r = refresh(counters, false, reterr);

	if (r == 0 && all_gone(counters))
		return error_set(reterr, -ESRCH, "every guest is gone");
	return r;
}

static int make_rows(struct vpmu_counters *counters, enum vpmu_count_since since)
{
	counters->rows.n = 0;
	vec_for_each (target, &counters->targets) {
		const struct count_reading *from = (*target)->base;

		if (since == VPMU_SINCE_LAST && (*target)->told)
			continue;
		if (since == VPMU_SINCE_LAST)
			from = (*target)->last;
		if (count_rows_add(&counters->rows, &counters->plan, counters->whys, *target,
				   from) < 0)
			return -ENOMEM;
	}
	return 0;
}

VPMU_API int vpmu_counters_read(struct vpmu_counters *counters, enum vpmu_count_since since,
				struct vpmu_counts *ret_counts, struct vpmu_error *reterr)
{
	struct vpmu_counts counts = {};
	int r = refresh(counters, true, reterr);

	if (r < 0)
		return r;
	if (make_rows(counters, since) < 0)
		return error_oom(reterr);
	counts.start_ns = since == VPMU_SINCE_LAST ? counters->last_ns : counters->start_ns;
	counts.end_ns = count_now_ns();
	counts.n = counters->rows.n;
	counts.items = counters->rows.items;
	if (since == VPMU_SINCE_LAST) {
		counters->last_ns = counts.end_ns;
		vec_for_each (target, &counters->targets)
			count_target_told(*target, &counters->plan);
	}
	*ret_counts = counts;
	return 0;
}

/* ---- questions ---- */

VPMU_API const struct vpmu_guest_info *vpmu_counters_guest(const struct vpmu_counters *counters,
							   size_t i)
{
	return i < counters->roster.guests.n ? &counters->roster.guests.items[i]->info : NULL;
}

VPMU_API const char *vpmu_counters_missing(const struct vpmu_counters *counters)
{
	return counters->plan.missing;
}

VPMU_API const char *vpmu_count_status_name(enum vpmu_count_status status)
{
	static const char *const names[] = {
		[VPMU_COUNT_OK] = "ok",
		[VPMU_COUNT_PARTIAL] = "partial",
		[VPMU_COUNT_NOT_COUNTED] = "not-counted",
		[VPMU_COUNT_UNAVAILABLE] = "unavailable",
	};

	return (size_t)status < ARRAY_SIZE(names) ? names[status] : "unknown";
}

VPMU_API const char *vpmu_sides_name(unsigned int sides)
{
	if (!sides)
		return "none";
	if (sides == VPMU_SIDES_GUEST)
		return "guest";
	if (sides == VPMU_SIDES_HOST)
		return "host";
	for (int side = 0; side < VPMU_SIDE_COUNT; side++)
		if (sides == 1u << side)
			return vpmu_side_name((enum vpmu_side)side);
	return "both";
}

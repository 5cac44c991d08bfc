/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "session/count_target.h"
#include "util/error.h"
#include "util/io.h"

uint64_t count_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- life ---- */

static void close_files(struct count_target *target)
{
	vec_for_each (open, &target->groups)
		counter_group_free(open->group);
	vec_free(&target->groups);
	if (target->stats_fd >= 0)
		close(target->stats_fd);
	target->stats_fd = -1;
}

struct count_target *count_target_free(struct count_target *target)
{
	if (!target)
		return NULL;
	close_files(target);
	free(target->slots);
	free(target->stats);
	free(target->base);
	free(target->last);
	free(target->now);
	free(target);
	return NULL;
}

static struct count_reading *reading_new(const struct count_plan *plan)
{
	return calloc(1, sizeof(struct count_reading) +
				 count_plan_values(plan) * sizeof(struct counter_value));
}

static void no_value(struct count_slot *slot, struct intern *whys, int code, const char *why)
{
	uint32_t id = intern_add(whys, why);

	slot->code = code;
	slot->why = id == INTERN_FAILED ? 0 : id;
}

/* @members of the plan's counters, as one group. */
static int open_group(struct count_target *target, const struct count_plan *plan,
		      const struct count_group *members, size_t *ret_failed)
{
	struct perf_event_attr attrs[COUNT_GROUP_MAX];
	_cleanup_(counter_group_freep) struct counter_group *group = NULL;
	int r;

	for (size_t i = 0; i < members->n; i++)
		attrs[i] = plan->counters.items[members->counters[i]].spec.attr;
	r = counter_group_open(attrs, members->n, target->tid, &group, ret_failed);
	if (r < 0)
		return r;
	if (!vec_push(&target->groups, (struct count_open_group){ group, *members }))
		return -ENOMEM;
	group = NULL;
	return 0;
}

static int open_alone(struct count_target *target, const struct count_plan *plan,
		      struct intern *whys, size_t i)
{
	const struct count_counter *counter = &plan->counters.items[i];
	struct count_group alone = { .n = 1, .counters = { i } };
	struct vpmu_error error;
	char thread[32];
	size_t failed;
	int r;

	if (counter->withheld[0]) {
		no_value(&target->slots[i], whys, counter->withheld_code, counter->withheld);
		return 0;
	}
	r = open_group(target, plan, &alone, &failed);
	if (r == 0 || r == -ESRCH || r == -ENOMEM)
		return r;
	snprintf(thread, sizeof(thread), "thread %d", (int)target->tid);
	event_open_error(&counter->spec, r, thread, &error);
	no_value(&target->slots[i], whys, r, error.text);
	return 0;
}

/*
 * If it cannot be had as a group, then each member for itself: a rate of two times is better than
 * none.
 */
static int open_members(struct count_target *target, const struct count_plan *plan,
			struct intern *whys, const struct count_group *members)
{
	bool withheld = false;
	size_t failed;
	int r = -EINVAL;

	for (size_t i = 0; i < members->n; i++)
		withheld |= plan->counters.items[members->counters[i]].withheld[0] != '\0';
	if (members->n > 1 && !withheld)
		r = open_group(target, plan, members, &failed);
	if (r == 0 || r == -ESRCH || r == -ENOMEM)
		return r;
	r = 0;
	for (size_t i = 0; i < members->n && r == 0; i++)
		r = open_alone(target, plan, whys, members->counters[i]);
	return r;
}

int count_target_new(const struct count_plan *plan, struct intern *whys, pid_t tid,
		     struct count_target **ret_target)
{
	_cleanup_(count_target_freep) struct count_target *target = calloc(1, sizeof(*target));

	if (!target)
		return -ENOMEM;
	target->tid = tid;
	target->stats_fd = -1;
	target->slots = calloc(count_plan_values(plan) + 1, sizeof(*target->slots));
	target->stats = calloc(plan->stats.n + 1, sizeof(*target->stats));
	target->base = reading_new(plan);
	target->last = reading_new(plan);
	target->now = reading_new(plan);
	if (!target->slots || !target->stats || !target->base || !target->last || !target->now)
		return -ENOMEM;
	for (size_t i = 0; i < plan->groups.n; i++) {
		int r = open_members(target, plan, whys, &plan->groups.items[i]);

		if (r < 0)
			return r;
	}
	*ret_target = take_ptr(target);
	return 0;
}

/* ---- KVM's statistics ---- */

#define STATS_BYTES_MAX (64 * 1024) /* of header and descriptors: KVM has some 4 KiB */

static const char *no_stats(int code)
{
	switch (-code) {
	case ENOENT:
		return "the hypervisor keeps no file of KVM's statistics open (QEMU does since 8.1)";
	case EACCES:
	case EPERM:
		return "reading KVM's statistics of another user's process takes CAP_SYS_PTRACE";
	default:
		return strerror(-code);
	}
}

static void find_stats(struct count_target *target, const struct count_plan *plan,
		       struct intern *whys, const void *bytes, size_t n)
{
	for (size_t i = 0; i < plan->stats.n; i++) {
		const char *name = plan->stats.items[i].name + strlen("kvm:");
		int r = kvm_stats_find(bytes, n, name, &target->stats[i]);

		if (r < 0)
			no_value(&target->slots[plan->counters.n + i], whys, r,
				 r == -EOPNOTSUPP
					 ? "it is a level or a histogram, not a count"
					 : "this kernel's KVM has no such statistic of vCPUs");
	}
}

void count_target_set_stats(struct count_target *target, const struct count_plan *plan,
			    struct intern *whys, int fd)
{
	_free_ char *bytes = fd < 0 ? NULL : malloc(STATS_BYTES_MAX);
	ssize_t n = fd < 0 ? fd : bytes ? io_pread_full(fd, bytes, STATS_BYTES_MAX, 0) : -ENOMEM;

	target->stats_fd = fd < 0 ? -1 : fd;
	if (n >= 0)
		find_stats(target, plan, whys, bytes, (size_t)n);
	for (size_t i = 0; n < 0 && i < plan->stats.n; i++)
		no_value(&target->slots[plan->counters.n + i], whys, (int)n, no_stats((int)n));
}

static void read_stats(struct count_target *target, const struct count_plan *plan,
		       struct intern *whys)
{
	for (size_t i = 0; i < plan->stats.n && target->stats_fd >= 0; i++) {
		size_t slot = plan->counters.n + i;
		uint64_t value;
		ssize_t n;

		if (target->slots[slot].code)
			continue;
		n = io_pread_full(target->stats_fd, &value, sizeof(value), target->stats[i].offset);
		if (n == sizeof(value))
			target->now->values[slot].value = value;
		else
			no_value(&target->slots[slot], whys, n < 0 ? (int)n : -EBADMSG,
				 "it cannot be read");
	}
}

/* ---- readings ---- */

static void group_failed(struct count_target *target, struct intern *whys,
			 const struct count_group *of, int code, const char *what)
{
	struct vpmu_error error;

	if (code == -ENODATA)
		error_set(&error, code, "the PMU cannot hold it beside others that are pinned");
	else
		error_set(&error, code, "%s: %s", what, strerror(-code));
	for (size_t i = 0; i < of->n; i++)
		no_value(&target->slots[of->counters[i]], whys, code, error.text);
}

static void read_counters(struct count_target *target, const struct count_plan *plan,
			  struct intern *whys)
{
	read_stats(target, plan, whys);
	vec_for_each (open, &target->groups) {
		struct counter_value values[COUNT_GROUP_MAX];
		int r = counter_group_read(open->group, values);

		if (r < 0)
			group_failed(target, whys, &open->of, r, "it cannot be read");
		for (size_t i = 0; r == 0 && i < open->of.n; i++)
			target->now->values[open->of.counters[i]] = values[i];
	}
}

static void read_time(struct count_target *target, struct intern *whys, int proc_fd)
{
	struct vcpu_time time;
	uint64_t now_ns = count_now_ns();
	int r = vcpu_time_read(proc_fd, target->tid, &time);

	target->time_failed = r < 0;
	if (r == 0) {
		target->now->time = time;
		target->now->time_ns = now_ns;
	} else if (!target->now->time_ns) {
		struct vpmu_error error;

		error_set(&error, r, "the scheduler's account of thread %d cannot be read: %s",
			  (int)target->tid, strerror(-r));
		no_value(&target->time_slot, whys, r, error.text);
	}
}

static void copy_reading(const struct count_plan *plan, struct count_reading *to,
			 const struct count_reading *from)
{
	memcpy(to, from, sizeof(*to) + count_plan_values(plan) * sizeof(to->values[0]));
}

void count_target_start(struct count_target *target, const struct count_plan *plan,
			struct intern *whys, int proc_fd)
{
	vec_for_each (open, &target->groups) {
		int r = counter_group_enable(open->group);

		if (r < 0)
			group_failed(target, whys, &open->of, r, "it does not start");
	}
	target->started = true;
	read_time(target, whys, proc_fd);
	read_stats(target, plan, whys); /* these count since the vCPU was made */
	copy_reading(plan, target->base, target->now);
	copy_reading(plan, target->last, target->now);
}

void count_target_look(struct count_target *target, const struct count_plan *plan,
		       struct intern *whys, int proc_fd, bool counters)
{
	if (target->ended)
		return;
	read_time(target, whys, proc_fd);
	if (counters)
		read_counters(target, plan, whys);
}

void count_target_end(struct count_target *target, const struct count_plan *plan,
		      struct intern *whys)
{
	read_counters(target, plan, whys);
	close_files(target);
	target->ended = true;
}

void count_target_told(struct count_target *target, const struct count_plan *plan)
{
	copy_reading(plan, target->last, target->now);
	target->told = target->ended;
}

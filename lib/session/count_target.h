/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vCPU thread that is being counted on: a plan's counters and the scheduler's accounts, as read
 * last and before.
 */
#ifndef SESSION_COUNT_TARGET_H
#define SESSION_COUNT_TARGET_H

#include "format/kvm_stats.h"
#include "guest/vcpu_time.h"
#include "host/counter.h"
#include "session/count_plan.h"
#include "util/intern.h"

/* What was read at one moment. */
struct count_reading {
	uint64_t time_ns;
	struct vcpu_time time;
	struct counter_value values[]; /* count_plan_values() */
};

struct count_slot {
	int code;     /* 0, or why it has no value: a negative errno */
	uint32_t why; /* in words, in the pool */
};

struct count_open_group {
	struct counter_group *group;
	struct count_group of;
};

struct count_target {
	pid_t tid;
	uint32_t guest, vcpu;
	bool started, ended, told;	     /* told: its end was part of a reading since last */
	bool time_failed;		     /* the newest look at its accounts */
	struct count_slot time_slot, *slots; /* as the values */
	VEC(struct count_open_group) groups;
	int stats_fd;		/* KVM's statistics of the vCPU, or -1 */
	struct kvm_stat *stats; /* where they are in it */
	struct count_reading *base; /* at the start */
	struct count_reading *last; /* at the previous reading since last */
	struct count_reading *now;  /* newest */
};

/*
 * Opens @plan's counters on @tid. One that is refused has a slot that says so. -ESRCH: the thread
 * is gone. -ENOMEM.
 */
int count_target_new(const struct count_plan *plan, struct intern *whys, pid_t tid,
		     struct count_target **ret_target);

/*
 * Finds @plan's statistics in @fd (kvm_stats_fd_open()), which is the target's from now on; or says
 * why there is none (a negative errno).
 */
void count_target_set_stats(struct count_target *target, const struct count_plan *plan,
			    struct intern *whys, int fd);
struct count_target *count_target_free(struct count_target *target);
DEFINE_CLEANUP(struct count_target *, count_target_free)

/* Lets the counters count, and takes the base. @proc_fd: /proc/PID. */
void count_target_start(struct count_target *target, const struct count_plan *plan,
			struct intern *whys, int proc_fd);

/* Reads the accounts; the counters too if @counters. Afterwards it may be found to have ended. */
void count_target_look(struct count_target *target, const struct count_plan *plan,
		       struct intern *whys, int proc_fd, bool counters);

/* The thread is gone: reads what the counters have, for the last time. */
void count_target_end(struct count_target *target, const struct count_plan *plan,
		      struct intern *whys);

/* What was read now is what the next reading since last begins with. */
void count_target_told(struct count_target *target, const struct count_plan *plan);

uint64_t count_now_ns(void);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vCPU thread whose time is followed: how far its clock was at the start, when told last, and now. */
#ifndef SESSION_CLOCK_TARGET_H
#define SESSION_CLOCK_TARGET_H

#include "host/clock_probe.h"
#include "session/clock_parts.h"
#include "util/intern.h"
#include "util/vec.h"

/* Somebody who had the CPU instead. */
struct clock_competitor {
	pid_t tid, pid;
	const char *comm; /* in the clock's pool */
	uint64_t ns, last_ns; /* since the base, and of that before the reading that was told last */
};

#define CLOCK_COMPETITORS_MAX 256 /* the one behind them is for all others */

struct clock_target {
	pid_t tid;
	uint32_t guest, vcpu;
	bool ended, told; /* told: its end was part of a reading since last */
	int clock;	  /* in the probe; -1 = it has none */
	struct clock_reading base, last, now;
	VEC(struct clock_competitor) competitors;
	VEC(struct vpmu_clock_reason) reasons; /* of the newest reading that was handed out … */
	VEC(struct vpmu_clock_competitor) rivals; /* … likewise */
};

/* Begins to follow @tid. @probe: NULL = the scheduler's accounts only. @proc_fd: /proc/PID. -ENOMEM. */
int clock_target_new(struct clock_probe *probe, pid_t tid, int proc_fd,
		     struct clock_target **ret_target);
struct clock_target *clock_target_free(struct clock_target *target);
DEFINE_CLEANUP(struct clock_target *, clock_target_free)

/* Brings @target->now up to date. @proc_fd: -1 = the process is gone. */
void clock_target_look(struct clock_target *target, const struct clock_probe *probe, int proc_fd);

/* The thread is gone: the last look. */
void clock_target_end(struct clock_target *target, struct clock_probe *probe);

/* Names are in @names, the clock's pool. It waited @value->ns longer for a thread. -ENOMEM. */
int clock_target_compete(struct clock_target *target, struct intern *names, uint32_t tid,
			 const struct vpmu_bpf_competitor *value);

/* What the time counts from is now. */
void clock_target_begin(struct clock_target *target);

/* The row of @target since the base, or since it was told last. -ENOMEM. */
int clock_target_row(struct clock_target *target, struct intern *names, enum vpmu_count_since since,
		     struct vpmu_clock_vcpu *ret_row);

/* What there is now is what the next reading since last begins with. */
void clock_target_told(struct clock_target *target);

#endif

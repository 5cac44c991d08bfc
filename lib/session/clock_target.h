/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vCPU thread whose time is followed: how far its clock was at the start, when told last, and now. */
#ifndef SESSION_CLOCK_TARGET_H
#define SESSION_CLOCK_TARGET_H

#include "host/clock_probe.h"
#include "session/clock_parts.h"
#include "util/vec.h"

struct clock_target {
	pid_t tid;
	uint32_t guest, vcpu;
	bool ended, told; /* told: its end was part of a reading since last */
	int clock;	  /* in the probe; -1 = it has none */
	struct clock_reading base, last, now;
	VEC(struct vpmu_clock_reason) reasons; /* of the newest reading that was handed out */
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

/* What the time counts from is now. */
void clock_target_begin(struct clock_target *target);

/* The row of @target since one of its readings, but for whose it is. -ENOMEM. */
int clock_target_row(struct clock_target *target, const struct clock_reading *from,
		     struct vpmu_clock_vcpu *ret_row);

#endif

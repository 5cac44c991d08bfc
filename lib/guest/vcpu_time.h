/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the scheduler accounts to one thread since it began, out of /proc/PID/task/TID:
 *
 *	stat		fields 14, 15 and 43: user, system and guest time. User time includes guest
 *			time (account_guest_time(), kernel/sched/cputime.c). Told in clock ticks,
 *			10 ms on x86.
 *	schedstat	time on a CPU and time runnable but waiting for one, in nanoseconds; times
 *			on a CPU. Without CONFIG_SCHED_INFO it is not there; with the accounting
 *			switched off it is all zeros.
 *	status		voluntary (it went to sleep) and involuntary context switches
 *
 * On most kernels the three kinds in stat are sampled: each tick of the CPU goes to whoever runs
 * then. User and system time are made to add up to the time on a CPU afterwards (cputime_adjust()),
 * guest time is not: of a thread that is always in the guest either may be a few ticks ahead. A
 * kernel with VIRT_CPU_ACCOUNTING_GEN measures at every entry and exit on CPUs that are nohz_full.
 */
#ifndef GUEST_VCPU_TIME_H
#define GUEST_VCPU_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vcpu_time {
	uint64_t user_ns, system_ns, guest_ns; /* in whole steps of vcpu_time_step_ns() */
	bool has_sched;
	uint64_t run_ns, wait_ns;
	bool has_switches;
	uint64_t voluntary, involuntary;
};

/* @proc_fd: /proc/PID. Errors: gone (-ENOENT, -ESRCH), -EACCES (hidepid), -EBADMSG. */
int vcpu_time_read(int proc_fd, pid_t tid, struct vcpu_time *ret_time);

/* How fine user, system and guest time are told. */
uint64_t vcpu_time_step_ns(void);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a vCPU thread's wall time went, from two readings of the scheduler's accounts
 * (guest/vcpu_time.h):
 *
 *	wall = on a CPU (guest + QEMU's user code + host kernel) + waiting for a CPU + asleep
 *
 * Two sorts of clocks have to be made one account. How long the thread was on a CPU, and how long
 * it waited for one, is known to the nanosecond. What it did there comes in ticks, of which guest
 * time is counted by another rule than the rest. So the ticks only say in what proportion the exact
 * time is divided, and the parts add up. A vCPU that mostly sleeps has few ticks, and the
 * proportion is a guess; where there is no tick at all the time is the host kernel's, which is
 * where somebody is found who wakes up and goes to sleep again.
 */
#ifndef SESSION_TIME_ACCOUNT_H
#define SESSION_TIME_ACCOUNT_H

#include "guest/vcpu_time.h"

struct time_account {
	uint64_t guest_ns, user_ns, system_ns; /* add up to run_ns */
	uint64_t run_ns;
	bool has_wait;	   /* else waiting is in sleep_ns, and run_ns is in ticks */
	uint64_t wait_ns;  /* runnable, no CPU: the guest's steal time */
	uint64_t sleep_ns; /* the rest: halted, or blocked in the hypervisor */
};

void time_account(const struct vcpu_time *from, const struct vcpu_time *to, uint64_t wall_ns,
		  struct time_account *ret_account);

#endif

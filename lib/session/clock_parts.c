/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/clock_parts.h"
#include "session/time_account.h"
#include "util/macro.h"
#include "util/muldiv.h"

_Static_assert((int)VPMU_CLOCK_GUEST == VPMU_BPF_PART_GUEST &&
		       (int)VPMU_CLOCK_EXIT == VPMU_BPF_PART_EXIT &&
		       (int)VPMU_CLOCK_QEMU == VPMU_BPF_PART_QEMU &&
		       (int)VPMU_CLOCK_POLL == VPMU_BPF_PART_POLL &&
		       (int)VPMU_CLOCK_HALT == VPMU_BPF_PART_HALT &&
		       (int)VPMU_CLOCK_STEAL == VPMU_BPF_PART_STEAL &&
		       (int)VPMU_CLOCK_BLOCKED == VPMU_BPF_PART_BLOCKED &&
		       (int)VPMU_CLOCK_BLOCKED_KVM == VPMU_BPF_PART_BLOCKED_KVM,
	       "measured parts have the program's numbers");

static const char no_entries[] =
	"this KVM has no kvm_entry and kvm_exit: guest, exit and qemu are the scheduler's "
	"account, which comes in steps";
static const char emulated[] =
	"the guest is emulated (TCG), by threads of QEMU: guest, exit and qemu are the scheduler's "
	"account, which comes in steps";
static const char not_entered[] =
	"the vCPU did not enter the guest while it was watched: what little it ran is divided by the "
	"scheduler's account, which comes in steps";
static const char no_account[] =
	"neither KVM's tracepoints nor the scheduler's account tell what the vCPU ran";
static const char no_program[] =
	"no BPF program: all is the scheduler's account, which comes in steps";
static const char no_wait[] = "no BPF program, and the scheduler keeps no account of waiting";

static const char unseen[] =
	"the vCPU ran when its events say that it waited for a CPU: some were not seen, and that "
	"time is unknown";

static struct vpmu_clock_time measured(uint64_t ns)
{
	return (struct vpmu_clock_time){.known = true, .ns = ns};
}

static struct vpmu_clock_time in_steps(uint64_t ns)
{
	return (struct vpmu_clock_time){.known = true, .ns = ns, .step_ns = vcpu_time_step_ns()};
}

/* ---- without the program ---- */

static const char *from_sched(const struct clock_reading *from, const struct clock_reading *to,
			      struct vpmu_clock_time parts[VPMU_CLOCK_PART_COUNT])
{
	uint64_t wall_ns = to->time_ns > from->time_ns ? to->time_ns - from->time_ns : 0;
	uint64_t left_ns = wall_ns, run_ns, wait_ns;
	struct time_account account;

	time_account(&from->sched, &to->sched, wall_ns, &account);
	/* The accounts are read a moment after the clock. */
	run_ns = MIN(account.run_ns, left_ns);
	left_ns -= run_ns;
	wait_ns = MIN(account.wait_ns, left_ns);
	left_ns -= wait_ns;
	parts[VPMU_CLOCK_GUEST] = in_steps(MIN(account.guest_ns, run_ns));
	run_ns -= parts[VPMU_CLOCK_GUEST].ns;
	parts[VPMU_CLOCK_QEMU] = in_steps(MIN(account.user_ns, run_ns));
	parts[VPMU_CLOCK_EXIT] = in_steps(run_ns - parts[VPMU_CLOCK_QEMU].ns);
	if (account.has_wait)
		parts[VPMU_CLOCK_STEAL] = measured(wait_ns);
	parts[VPMU_CLOCK_ASLEEP] = measured(left_ns);
	return account.has_wait ? no_program : no_wait;
}

/* ---- with it ---- */

/*
 * What is known only afterwards moves from one part to another, so a part of a short time can be
 * less than nothing: what it was given too much before, another got too little.
 */
static void settle(int64_t ns[VPMU_BPF_PART_COUNT])
{
	for (int part = 0; part < VPMU_BPF_PART_COUNT; part++) {
		while (ns[part] < 0) {
			int most = 0;
			int64_t owed;

			for (int i = 1; i < VPMU_BPF_PART_COUNT; i++)
				if (ns[i] > ns[most])
					most = i;
			if (ns[most] <= 0) {
				ns[part] = 0;
				break;
			}
			owed = MIN(-ns[part], ns[most]);
			ns[most] -= owed;
			ns[part] += owed;
		}
	}
}

/*
 * That a waiting thread got its CPU may not be seen: kernels do not run BPF programs in every thread,
 * and it is the thread before that switches. Until its next event it seems to wait on; the
 * scheduler knows better, but only up to its last tick, at both ends, and by a clock of its own that
 * is a few percent off where the time stamp counter is not to be relied on (a host in emulation).
 */
static bool take_back_steal(const struct clock_reading *from, const struct clock_reading *to,
			    int64_t ns[VPMU_BPF_PART_COUNT])
{
	int64_t ran_ns = (int64_t)(to->sched.run_ns - from->sched.run_ns), missed_ns;
	int64_t wall_ns = (int64_t)(to->time_ns - from->time_ns);

	if (!from->has_sched || !to->has_sched || !from->sched.has_sched || !to->sched.has_sched)
		return false;
	missed_ns = ran_ns - ns[VPMU_BPF_PART_GUEST] - ns[VPMU_BPF_PART_EXIT] -
		    ns[VPMU_BPF_PART_QEMU] - ns[VPMU_BPF_PART_POLL] - ns[VPMU_BPF_PART_UNKNOWN];
	missed_ns = MIN(missed_ns, ns[VPMU_BPF_PART_STEAL]);
	if (missed_ns <= MAX(10 * (int64_t)vcpu_time_step_ns(), wall_ns / 16))
		return false;
	ns[VPMU_BPF_PART_STEAL] -= missed_ns;
	ns[VPMU_BPF_PART_UNKNOWN] += missed_ns;
	return true;
}

/* Time on a CPU that is not known to be polling, which the accounts have as the kernel's. */
static const char *divide(const struct clock_reading *from, const struct clock_reading *to,
			  uint64_t unknown_ns, struct vpmu_clock_time parts[VPMU_CLOCK_PART_COUNT])
{
	uint64_t polled_ns = parts[VPMU_CLOCK_POLL].ns, guest, user, system, ticks;
	struct time_account account;

	if (!from->has_sched || !to->has_sched) {
		parts[VPMU_CLOCK_GUEST] = parts[VPMU_CLOCK_EXIT] = parts[VPMU_CLOCK_QEMU] =
			(struct vpmu_clock_time){};
		parts[VPMU_CLOCK_UNKNOWN] = measured(unknown_ns);
		return no_account;
	}
	time_account(&from->sched, &to->sched, to->time_ns - from->time_ns, &account);
	guest = account.guest_ns;
	user = account.user_ns;
	system = account.system_ns > polled_ns ? account.system_ns - polled_ns : 0;
	ticks = guest + user + system;
	parts[VPMU_CLOCK_GUEST] = in_steps(ticks ? mul_div(unknown_ns, guest, ticks) : 0);
	parts[VPMU_CLOCK_QEMU] = in_steps(ticks ? MIN(mul_div(unknown_ns, user, ticks),
						      unknown_ns - parts[VPMU_CLOCK_GUEST].ns)
						: 0);
	parts[VPMU_CLOCK_EXIT] =
		in_steps(unknown_ns - parts[VPMU_CLOCK_GUEST].ns - parts[VPMU_CLOCK_QEMU].ns);
	parts[VPMU_CLOCK_UNKNOWN] = measured(0);
	if (to->is_emulated)
		return emulated;
	return to->kvm_tells ? not_entered : no_entries;
}

static const char *from_clock(const struct clock_reading *from, const struct clock_reading *to,
			      struct vpmu_clock_time parts[VPMU_CLOCK_PART_COUNT])
{
	int64_t ns[VPMU_BPF_PART_COUNT];
	bool missed;

	for (int part = 0; part < VPMU_BPF_PART_COUNT; part++)
		ns[part] = (int64_t)(to->clock.parts[part] - from->clock.parts[part]);
	settle(ns);
	missed = take_back_steal(from, to, ns);
	for (int part = 0; part <= VPMU_CLOCK_BLOCKED_KVM; part++)
		parts[part] = measured((uint64_t)ns[part]);
	parts[VPMU_CLOCK_UNKNOWN] = measured((uint64_t)ns[VPMU_BPF_PART_UNKNOWN]);
	if (to->clock.has_kvm || ns[VPMU_BPF_PART_UNKNOWN] == 0)
		return missed ? unseen : NULL;
	return divide(from, to, (uint64_t)ns[VPMU_BPF_PART_UNKNOWN], parts);
}

const char *clock_parts(const struct clock_reading *from, const struct clock_reading *to,
			struct vpmu_clock_time ret_parts[VPMU_CLOCK_PART_COUNT])
{
	memset(ret_parts, 0, VPMU_CLOCK_PART_COUNT * sizeof(*ret_parts));
	if (from->has_clock && to->has_clock)
		return from_clock(from, to, ret_parts);
	if (from->has_sched && to->has_sched)
		return from_sched(from, to, ret_parts);
	return "the thread cannot be looked at";
}

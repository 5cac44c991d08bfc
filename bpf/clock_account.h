/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vCPU's clock: what happened to its thread, and which part of its time that ends. Part of the BPF program clock.bpf.c;
 * also compiled as plain C, by tests/bpf and by lib/host, which brings a clock up to the moment of reading with it.
 *
 * Two things are known of a thread at any time, from two sorts of events:
 *
 *	whether it runs	  sched_switch, sched_wakeup: running, waiting for a CPU, asleep
 *	where it is	  kvm_entry, kvm_exit, kvm_userspace_exit: in the guest, in the kernel's handling of an exit, in QEMU
 *
 * Each event first charges the time since the last one to the part that both say, and then changes one of them. So parts
 * add up to the time since the start, by construction, whatever happens: an event that was lost makes a part wrong, never the sum.
 *
 *		running		waiting		asleep
 *	guest	GUEST		STEAL		(by where it slept: halted, in KVM or in QEMU,
 *	exit	EXIT		STEAL		which is asked when it goes to sleep)
 *	QEMU	QEMU		STEAL
 *
 * What is known only afterwards is moved afterwards. That KVM polled instead of letting a halted vCPU sleep is told at the end of
 * the halt (kvm_vcpu_wakeup: how long it took, polling included). Polling comes first and ends with the halt or with the
 * thread going to sleep, so it is the time from the halt's beginning to there. And when an exit comes where an entry was due,
 * then the entry was lost, and of the time since the exit before nobody knows how it is divided: it goes to UNKNOWN.
 *
 * There are kernels (of sandboxes) that do not trace it when certain threads of theirs leave a CPU. A vCPU that gets the CPU from one of these
 * seems to wait on. When it leaves the CPU itself it turns out that it does not, and how long it did the scheduler's own account
 * of waiting tells, which is up to date whenever a thread has the CPU. Where that does not help either (clock_resume()), it is UNKNOWN.
 *
 * Until the first entry or exit of a thread all its time on a CPU is UNKNOWN. If it was an exit that came first, then the thread was in
 * the guest all the time before. On a KVM that has no such tracepoints it stays UNKNOWN.
 *
 * Only one event of a thread is handled at a time: its own are handled with preemption off, those of the scheduler under
 * the run queue's lock.
 */
#ifndef CLOCK_ACCOUNT_H
#define CLOCK_ACCOUNT_H

#include "vpmu_bpf.h"

#define clock_inline static inline __attribute__((always_inline))

/* Readers in other processes see a whole change or try again. x86 keeps the order of stores. */
#define clock_barrier() __asm__ volatile("" ::: "memory")

clock_inline void clock_begin(struct vpmu_bpf_clock *c)
{
	c->seq++;
	clock_barrier();
}

clock_inline void clock_end(struct vpmu_bpf_clock *c)
{
	clock_barrier();
	c->seq++;
}

/* What time on a CPU is. */
clock_inline __u32 clock_running_part(const struct vpmu_bpf_clock *c)
{
	switch (c->where) {
	case VPMU_BPF_WHERE_GUEST:
		return VPMU_BPF_PART_GUEST;
	case VPMU_BPF_WHERE_EXIT:
		return VPMU_BPF_PART_EXIT;
	case VPMU_BPF_WHERE_QEMU:
		return VPMU_BPF_PART_QEMU;
	}
	return VPMU_BPF_PART_UNKNOWN;
}

/* Charges what passed since the last event. A clock that goes back (those of two CPUs may differ a little) charges nothing. */
clock_inline void clock_charge(struct vpmu_bpf_clock *c, __u64 now_ns)
{
	__s64 passed = (__s64)(now_ns - c->since_ns);
	__u32 part;

	if (passed <= 0)
		return;
	c->since_ns = now_ns;
	if (c->run == VPMU_BPF_RUN_RUNNING) {
		c->current_ns += (__u64)passed;
		part = clock_running_part(c);
	} else {
		part = c->run == VPMU_BPF_RUN_WAITING ? VPMU_BPF_PART_STEAL : c->asleep_in;
	}
	if (part < VPMU_BPF_PART_COUNT)
		c->parts[part] += (__u64)passed;
}

/*
 * Nobody saw the event before this one, by which it got a CPU or left it: of the time since the last one, only the sum is known. Kernels
 * do not run BPF programs in every thread.
 */
clock_inline void clock_resume(struct vpmu_bpf_clock *c, __u64 now_ns)
{
	__s64 passed = (__s64)(now_ns - c->since_ns);

	c->unpaired++;
	if (passed > 0) {
		c->since_ns = now_ns;
		c->parts[VPMU_BPF_PART_UNKNOWN] += (__u64)passed;
	}
	c->run = VPMU_BPF_RUN_RUNNING;
	c->stretch_ns = c->since_ns;
}

/* The first event tells what the thread did before. */
clock_inline void clock_was(struct vpmu_bpf_clock *c, __u8 run)
{
	if (c->run != VPMU_BPF_RUN_UNSEEN)
		return;
	c->run = run;
	c->stretch_ns = c->start_ns;
}

/* ---- the scheduler ---- */

/* It leaves the CPU: as one that waits to come back, or to sleep, which is @asleep_in (a part). */
clock_inline void clock_switched_out(struct vpmu_bpf_clock *c, __u64 now_ns, __u8 waits, __u8 asleep_in)
{
	clock_was(c, VPMU_BPF_RUN_RUNNING);
	if (c->run != VPMU_BPF_RUN_RUNNING)
		clock_resume(c, now_ns);
	clock_charge(c, now_ns);
	if (waits) {
		c->run = VPMU_BPF_RUN_WAITING;
		return;
	}
	c->run = VPMU_BPF_RUN_ASLEEP;
	c->asleep_in = asleep_in;
	if (asleep_in == VPMU_BPF_PART_HALT && !c->poll_until_ns) {
		c->poll_from_ns = c->stretch_ns;
		c->poll_until_ns = c->since_ns;
	}
}

/*
 * Whether it slept when it was woken. The scheduler also wakes threads that are about to sleep and run still (try_to_wake_up(): the current
 * one; ttwu_runnable()): of those we have not seen anything of, on_cpu tells. It is 0 before one that sleeps can be woken.
 */
clock_inline int clock_slept(const struct vpmu_bpf_clock *c, int on_cpu)
{
	return !on_cpu && c->run != VPMU_BPF_RUN_RUNNING && c->run != VPMU_BPF_RUN_WAITING;
}

/* @asleep_in: where it slept, should we not have seen it go to sleep. */
clock_inline void clock_woken(struct vpmu_bpf_clock *c, __u64 now_ns, __u8 asleep_in)
{
	if (c->run == VPMU_BPF_RUN_UNSEEN)
		c->asleep_in = asleep_in;
	clock_was(c, VPMU_BPF_RUN_ASLEEP);
	if (c->run != VPMU_BPF_RUN_ASLEEP)
		return; /* it had not gone to sleep yet */
	clock_charge(c, now_ns);
	c->run = VPMU_BPF_RUN_WAITING;
}

clock_inline void clock_switched_in(struct vpmu_bpf_clock *c, __u64 now_ns)
{
	clock_was(c, VPMU_BPF_RUN_WAITING);
	if (c->run == VPMU_BPF_RUN_RUNNING) {
		clock_resume(c, now_ns);
		return;
	}
	clock_charge(c, now_ns);
	c->run = VPMU_BPF_RUN_RUNNING;
	c->stretch_ns = c->since_ns;
}

/* It waits, but has the CPU: got it when? @delay_ns: how long the scheduler says that it has ever waited. */
clock_inline __u64 clock_wait_end(const struct vpmu_bpf_clock *c, __u64 now_ns, __u64 delay_ns)
{
	__u64 end_ns = c->since_ns + (delay_ns - c->delay_ns);

	return (__s64)(now_ns - end_ns) > 0 ? end_ns : now_ns;
}

clock_inline void clock_got_cpu_unseen(struct vpmu_bpf_clock *c, __u64 end_ns)
{
	clock_switched_in(c, end_ns);
	c->unpaired++;
}

/* ---- KVM: these events happen in the thread, so it runs, whatever we thought ---- */

clock_inline void clock_on_cpu(struct vpmu_bpf_clock *c, __u64 now_ns)
{
	clock_was(c, VPMU_BPF_RUN_RUNNING);
	if (c->run != VPMU_BPF_RUN_RUNNING)
		clock_resume(c, now_ns);
	clock_charge(c, now_ns);
}

clock_inline void clock_move(struct vpmu_bpf_clock *c, __u32 from, __u32 to, __u64 ns)
{
	if (from >= VPMU_BPF_PART_COUNT || to >= VPMU_BPF_PART_COUNT || c->parts[from] < ns)
		return;
	c->parts[from] -= ns;
	c->parts[to] += ns;
}

/* Nobody saw the event that ended this: of the time since the one before, only the sum is known. */
clock_inline void clock_forget(struct vpmu_bpf_clock *c)
{
	c->unpaired++;
	clock_move(c, clock_running_part(c), VPMU_BPF_PART_UNKNOWN, c->current_ns);
	c->current_ns = 0;
}

clock_inline struct vpmu_bpf_clock_reason *clock_reason(struct vpmu_bpf_clock *c)
{
	return &c->reasons[c->reason < VPMU_BPF_CLOCK_REASONS ? c->reason : VPMU_BPF_CLOCK_REASONS];
}

/* The thread goes on elsewhere; what it did before is known now. */
clock_inline void clock_go(struct vpmu_bpf_clock *c, __u8 where)
{
	if (c->where == VPMU_BPF_WHERE_EXIT)
		clock_reason(c)->exit_ns += c->current_ns;
	else if (c->where == VPMU_BPF_WHERE_QEMU)
		clock_reason(c)->qemu_ns += c->current_ns;
	c->where = where;
	c->current_ns = 0;
	c->poll_until_ns = 0;
}

clock_inline void clock_entry(struct vpmu_bpf_clock *c, __u64 now_ns)
{
	clock_on_cpu(c, now_ns);
	/* Entry after entry is no loss: up to Linux 6.4 SVM's fast exits have no kvm_exit. */
	clock_go(c, VPMU_BPF_WHERE_GUEST);
	c->entries++;
	c->has_kvm = 1;
}

/* Open addressing; the table is never emptied. */
clock_inline __u8 clock_find_reason(struct vpmu_bpf_clock *c, __u32 code)
{
	__u32 at = code * 0x9e3779b1u >> 27;

	for (int i = 0; i < 8; i++, at++) {
		struct vpmu_bpf_clock_reason *reason = &c->reasons[at & (VPMU_BPF_CLOCK_REASONS - 1)];

		if (!reason->used) {
			reason->code = code;
			reason->used = 1;
		}
		if (reason->code == code)
			return at & (VPMU_BPF_CLOCK_REASONS - 1);
	}
	c->reasons[VPMU_BPF_CLOCK_REASONS].used = 1;
	return VPMU_BPF_CLOCK_REASONS;
}

clock_inline void clock_exit(struct vpmu_bpf_clock *c, __u64 now_ns, __u32 code)
{
	clock_on_cpu(c, now_ns);
	if (!c->has_kvm)
		clock_move(c, VPMU_BPF_PART_UNKNOWN, VPMU_BPF_PART_GUEST,
			   c->parts[VPMU_BPF_PART_UNKNOWN]);
	else if (c->where != VPMU_BPF_WHERE_GUEST)
		clock_forget(c);
	clock_go(c, VPMU_BPF_WHERE_EXIT);
	c->reason = clock_find_reason(c, code);
	clock_reason(c)->count++;
	c->exits++;
	c->has_kvm = 1;
}

/* KVM_RUN returns. Without entries there would be no end to it. */
clock_inline void clock_userspace(struct vpmu_bpf_clock *c, __u64 now_ns)
{
	clock_on_cpu(c, now_ns);
	if (c->where == VPMU_BPF_WHERE_GUEST)
		clock_forget(c);
	clock_go(c, c->has_kvm ? VPMU_BPF_WHERE_QEMU : VPMU_BPF_WHERE_UNKNOWN);
}

/* A halt of @halt_ns is over. */
clock_inline void clock_halted(struct vpmu_bpf_clock *c, __u64 now_ns, __u64 halt_ns)
{
	__u64 from, until, polled;

	clock_on_cpu(c, now_ns);
	from = c->since_ns - halt_ns;
	until = c->poll_until_ns ? c->poll_until_ns : c->since_ns;
	if ((__s64)(from - (c->poll_until_ns ? c->poll_from_ns : c->stretch_ns)) < 0)
		from = c->poll_until_ns ? c->poll_from_ns : c->stretch_ns;
	polled = (__s64)(until - from) > 0 ? until - from : 0;
	if (polled > c->current_ns)
		polled = c->current_ns;
	clock_move(c, clock_running_part(c), VPMU_BPF_PART_POLL, polled);
	c->current_ns -= polled;
	c->poll_until_ns = 0;
}

/* ---- beginning, end, reading ---- */

clock_inline void clock_ended(struct vpmu_bpf_clock *c, __u64 now_ns)
{
	clock_on_cpu(c, now_ns);
	clock_go(c, VPMU_BPF_WHERE_UNKNOWN);
	c->ended = 1;
}

/* Brings a copy up to @now_ns. What was seen of a thread to which nothing has happened since holds all the while. */
clock_inline void clock_until(struct vpmu_bpf_clock *c, __u64 now_ns)
{
	if (c->ended)
		return;
	if (c->run == VPMU_BPF_RUN_UNSEEN && c->seen_run) {
		c->run = c->seen_run;
		c->asleep_in = c->seen_asleep_in;
	}
	if (c->run == VPMU_BPF_RUN_UNSEEN)
		c->run = VPMU_BPF_RUN_RUNNING; /* which makes it UNKNOWN */
	clock_charge(c, now_ns);
	if (c->where == VPMU_BPF_WHERE_EXIT)
		clock_reason(c)->exit_ns += c->current_ns;
	else if (c->where == VPMU_BPF_WHERE_QEMU)
		clock_reason(c)->qemu_ns += c->current_ns;
}

#endif

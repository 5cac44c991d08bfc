/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who had the CPU while a vCPU waited for it? Part of the BPF program clock.bpf.c; also compiled as plain C, by tests/bpf.
 *
 * Each CPU has a short list of the followed vCPUs that wait on its run queue. When the CPU switches from one thread to
 * another, all that wait there have waited for the one that leaves: the time since they began, or since the switch before. So a long
 * wait is charged to each thread that ran meanwhile, with its share, and not just to the last.
 *
 * A list is changed only by events of its own CPU, under its run queue's lock: a vCPU is put on it when it is preempted there, or woken
 * to there. One that is moved to another CPU is not taken off; it is dropped at the list's next turn, because its
 * clock says that it does not wait there any more. The rest of its time on the old CPU is charged when it gets the new one, to
 * whoever runs on the old one then. If the list is full, all of a wait is charged in that way.
 *
 * The includer says what clocks there are and where charges go: queue_clock(), queue_charge_to().
 */
#ifndef CLOCK_QUEUE_H
#define CLOCK_QUEUE_H

#include "clock_account.h"

#define QUEUE_WAITERS 8 /* a power of 2 */

struct clock_queue {
	__u32 tid, pid; /* who runs; comm is empty until the first switch */
	char comm[16];
	__u32 n;
	__u32 waiters[QUEUE_WAITERS]; /* clocks */
};

static struct vpmu_bpf_clock *queue_clock(__u32 clock);

/* @who's @tid, @pid and @comm had the CPU for @ns. */
static void queue_charge_to(__u32 clock, const struct clock_queue *who, __u64 ns);

/* Up to now it waited for the one that runs on @queue's CPU. */
clock_inline void queue_charge(const struct clock_queue *queue, __u32 clock, struct vpmu_bpf_clock *c,
			       __u64 now_ns)
{
	__s64 waited = (__s64)(now_ns - c->waited_ns);

	if (waited <= 0)
		return;
	c->waited_ns = now_ns;
	if (queue->comm[0])
		queue_charge_to(clock, queue, (__u64)waited);
}

/* The thread that has @cpu leaves it. Charges all that wait, and drops those that do not any more. */
clock_inline void queue_turn(struct clock_queue *queue, __u32 cpu, __u64 now_ns)
{
	__u32 n = queue->n, kept = 0;

	for (__u32 i = 0; i < QUEUE_WAITERS; i++) {
		__u32 clock = queue->waiters[i];
		struct vpmu_bpf_clock *c;

		if (i >= n)
			break;
		c = queue_clock(clock);
		if (!c || c->run != VPMU_BPF_RUN_WAITING || c->wait_cpu != cpu)
			continue;
		queue_charge(queue, clock, c, now_ns);
		queue->waiters[kept & (QUEUE_WAITERS - 1)] = clock;
		kept++;
	}
	queue->n = kept;
}

/* Begins to wait for @cpu. */
clock_inline void queue_join(struct clock_queue *queue, __u32 cpu, __u32 clock, struct vpmu_bpf_clock *c,
			     __u64 now_ns)
{
	c->wait_cpu = cpu;
	c->waited_ns = now_ns;
	/* It may be there still from last time. */
	for (__u32 i = 0; i < QUEUE_WAITERS && i < queue->n; i++)
		if (queue->waiters[i] == clock)
			return;
	if (queue->n < QUEUE_WAITERS) {
		queue->waiters[queue->n & (QUEUE_WAITERS - 1)] = clock;
		queue->n++;
	}
}

#endif

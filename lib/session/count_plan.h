/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is counted on every vCPU thread: event names turned into counters. A hardware event gives
 * two, one for the guest's side and one for the host's; each other event gives one. Counters that
 * are divided by each other (instructions by cycles, misses by accesses; of the same side and mode)
 * form a group, led by the divisor: host/counter.h says why.
 *
 * "kvm:NAME" is a statistic of KVM's, unless it looks like a tracepoint: those of group kvm are
 * called kvm_SOMETHING, and one vcpu_match_mmio.
 */
#ifndef SESSION_COUNT_PLAN_H
#define SESSION_COUNT_PLAN_H

#include <vpmu/session.h>
#include "host/event.h"
#include "util/vec.h"

#define COUNT_NO_BASE	SIZE_MAX
#define COUNT_GROUP_MAX 4 /* divisor and dividends: what the smallest PMUs can count at once */

struct count_counter {
	struct event_spec spec; /* attr as it is opened */
	struct vpmu_event_info info; /* for vpmu_counters_event() */
	unsigned int sides;
	size_t base; /* the counter that this one is a proportion of, or COUNT_NO_BASE */
	char withheld[160]; /* not "": why it is never to be opened, as its rows say */
	int withheld_code;
};

struct count_group {
	size_t n, counters[COUNT_GROUP_MAX]; /* the leader first */
};

struct count_stat {
	char name[64]; /* "kvm:exits" */
};

struct count_plan {
	VEC(struct count_counter) counters; /* in the order of the events, guest before host */
	VEC(struct count_group) groups;	    /* every counter is in one */
	VEC(struct count_stat) stats;
	char missing[256]; /* why the default events are without hardware events, or "" */
};

/* @events: NULL = the default. Errors: those of event_parse_list(). */
int count_plan_init(struct count_plan *plan, const char *events, struct vpmu_error *reterr);
void count_plan_deinit(struct count_plan *plan);

/* It is not to be opened: @why, and what perf_event_open() might have said. */
void count_counter_withhold(struct count_counter *counter, int code, const char *why);

/* How many values a thread has: one a counter, then one a statistic. */
static inline size_t count_plan_values(const struct count_plan *plan)
{
	return plan->counters.n + plan->stats.n;
}

/* The parts, for tests: counters of @specs, without looking at this machine; then their groups. */
int count_plan_add(struct count_plan *plan, const struct event_spec *specs, size_t n,
		   bool mediated);
int count_plan_group(struct count_plan *plan);

#endif

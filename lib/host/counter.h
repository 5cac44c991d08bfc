/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events that are counted, not sampled, on one thread.
 *
 * A processor counts a handful of events at a time. If more are asked for, the kernel takes turns
 * ("multiplexing"), and says of each event how long it was wanted (enabled: the time that its
 * thread ran) and how long it was counted (running). What it would have been all the time is
 * guessed by the rule of three. Two events that take turns are counted at different times; of what
 * is to be divided by each other that must not be, so such events form a group: the kernel counts
 * all of a group or none.
 *
 * Host and guest are told apart by opening an event twice, with exclude_guest and with
 * exclude_host: a core PMU then switches counters at each entry to and exit from the guest.
 * Software events ignore both bits.
 *
 * Not tested on a hardware PMU yet; groups of software events are.
 */
#ifndef HOST_COUNTER_H
#define HOST_COUNTER_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "util/cleanup.h"

struct counter_group;

struct counter_value { /* since the group was opened; never goes back */
	uint64_t value, enabled_ns, running_ns;
};

/*
 * Opens @attrs on thread @tid as a group, the first one leads. Nothing counts yet.
 * Errors: that of perf_event_open for the event with index *ret_failed; -ENOMEM.
 */
int counter_group_open(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid,
		       struct counter_group **ret_group, size_t *ret_failed);
struct counter_group *counter_group_free(struct counter_group *group);
DEFINE_CLEANUP(struct counter_group *, counter_group_free)

/* All of its events begin to count at once. */
int counter_group_enable(struct counter_group *group);

/*
 * One value an event. Works after the thread's end, too. -ENODATA: the PMU cannot hold a pinned
 * event.
 */
int counter_group_read(struct counter_group *group, struct counter_value *ret_values);

/* What came between two readings. */
struct counter_value counter_since(const struct counter_value *now,
				   const struct counter_value *before);

enum counter_scaling {
	COUNTER_WHOLE,	/* counted all the time */
	COUNTER_SCALED, /* counted some of the time: the value is a guess */
	COUNTER_NEVER,	/* wanted, but never counted: the value means nothing */
};

/* What the value would be, had it been counted all the time. */
enum counter_scaling counter_scale(const struct counter_value *counted, uint64_t *ret_value);

#endif

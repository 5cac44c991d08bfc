/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may use which of the node's counters: pure policy, no I/O, no clock. A request names what it wants; the arbiter says for
 * each event what it gets, and calls others' grants back when somebody more important comes.
 *
 * A CPU has so many hardware counters. What counts on a vCPU thread takes a counter of whichever CPU the thread is on, what
 * counts node-wide takes one of every CPU; so both draw on the same number. Software events and tracepoints take none.
 *
 *   - by priority, then by age: a new request never takes from one of the same priority
 *   - what a fixed counter can count goes there, if that one is free, else to a general counter
 *   - sampling events want a counter for themselves; a counting event that finds none left shares those of the counting events
 *     before it (is multiplexed)
 *   - a sampling request for the default source gets the software clock where no counter is left, or none may be used; its
 *     events are replaced together
 *   - what was refused or replaced stays so when counters become free again, unless the request says that it takes them back:
 *     who samples cannot change the unit of his weights unasked
 *   - with mediated vPMU (Linux 7.0, enable_mediated_pmu=1) no hardware event that includes the guest is granted at all:
 *     it would make the creation of vCPUs fail
 */
#ifndef DAEMON_ARBITER_H
#define DAEMON_ARBITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/cleanup.h"

struct arbiter;

struct arbiter_node {
	uint32_t n_counters; /* general ones for each CPU; 0 = no PMU */
	unsigned int fixed;  /* VPMU_FIXED_* (vpmu/host.h): those that count one event alone */
	bool mediated;	     /* KVM hands the PMU to guests */
	uint32_t max_requests;
};

enum event_class { EVENT_SOFTWARE, EVENT_TRACEPOINT, EVENT_HARDWARE };

struct arbiter_event {
	const char *name;  /* for those who look at the answer; the arbiter does not */
	enum event_class class;
	unsigned int fixed; /* the fixed counter that can count it, too: one of VPMU_FIXED_*; 0 = none */
	bool sampling;
	bool guest;	   /* includes the guest's side */
	bool replaceable;  /* the software clock may stand in (it was not asked for by name) */
};

enum grant_status { GRANT_GRANTED, GRANT_MULTIPLEXED, GRANT_REPLACED, GRANT_REFUSED };
const char *grant_status_name(enum grant_status status);

struct grant {
	enum grant_status status;
	const char *why; /* a static string; NULL if GRANTED */
};

/* Behind all sessions, whatever their owners choose: counting for clients, and behind it for metrics. */
#define ARBITER_PRIORITY_COUNTERS (-101)
#define ARBITER_PRIORITY_METRICS  (-102)

struct arbiter_request {
	int priority;	  /* of sessions: -100 … 100; vpmud's own always-on session has -50 */
	bool node_wide;
	bool takes_back;  /* wants what it lost as soon as it is free again */
	size_t n_events;  /* 1 … ARBITER_EVENTS_MAX */
	const struct arbiter_event *events; /* copied */
};
#define ARBITER_EVENTS_MAX 64

/* A grant of somebody else changed. Called from inside a request or a release: must not call the arbiter. */
typedef void (*arbiter_changed_fn)(uint64_t request, size_t event, const struct grant *grant, void *data);

int arbiter_new(const struct arbiter_node *node, arbiter_changed_fn fn, void *data, struct arbiter **ret_arbiter);
struct arbiter *arbiter_free(struct arbiter *arbiter);
DEFINE_CLEANUP(struct arbiter *, arbiter_free)

/*
 * arbiter_request - @ret_grants: one for each event. Returns 0 if anything was granted; -EBUSY if all was refused (then there
 * is no request, and nobody lost anything; ret_grants tell why); -ENOSPC (max_requests), -EINVAL, -ENOMEM. *ret_id is never 0.
 */
int arbiter_request(struct arbiter *arbiter, const struct arbiter_request *request, uint64_t *ret_id,
		    struct grant *ret_grants);
void arbiter_release(struct arbiter *arbiter, uint64_t id);

/* The node's. */
uint32_t arbiter_max_requests(const struct arbiter *arbiter);

/* General ones. */
uint32_t arbiter_free_counters(const struct arbiter *arbiter);

#endif

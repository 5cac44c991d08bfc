/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The session that samples all guests, all the time, at a low rate: what it saw of each guest goes into the store, minute by
 * minute. It has a low priority with the arbiter, and gets on with the software clock where no counter is left. A guest that
 * comes is sampled from then on; one that cannot be is said once.
 *
 * When the session cannot be had, or breaks, that is said once, and every minute it is tried again.
 */
#ifndef DAEMON_ALWAYS_ON_H
#define DAEMON_ALWAYS_ON_H

#include "arbiter.h"
#include "domains.h"
#include "manager.h"

struct always_on;

/*
 * always_on_new - @period_ms, @max_gone: what a minute is, and after how many guests that ended the session begins anew, for tests; 0 =
 * 60000 and 1024. Switched off in the configuration, it does nothing. Needs the manager's loop, config, jobs, arbiter, domains, store
 * (may be NULL).
 * Errors: -ENOMEM.
 */
int always_on_new(struct manager *manager, int64_t period_ms, uint32_t max_gone, struct always_on **ret_always_on,
		  struct vpmu_error *reterr);
/* What the minute has so far is given to the store. */
struct always_on *always_on_free(struct always_on *always_on);
DEFINE_CLEANUP(struct always_on *, always_on_free)

/* The manager's configuration has changed. */
void always_on_reload(struct always_on *always_on);

/* For the arbiter's arbiter_changed_fn: a grant of a request that may be this session's. */
void always_on_grant_changed(struct always_on *always_on, uint64_t request, size_t event, const struct grant *grant);

/* Is @domain being sampled? */
bool always_on_samples(const struct always_on *always_on, const struct domain *domain);

struct always_on_stats {
	uint64_t samples, lost; /* since vpmud started, but for the last seconds */
	const char *why;	/* it does not run; NULL if it does */
};
void always_on_stats(const struct always_on *always_on, struct always_on_stats *ret_stats);

#endif

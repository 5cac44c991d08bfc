/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a set of counters may count with. Software events, tracepoints and KVM's statistics cost nobody anything; for
 * hardware counters the arbiter is asked, behind all sessions. A counter that was refused is not opened, one that shares others is
 * scaled; their rows say why. What was lost to a session comes back when that ends.
 */
#ifndef DAEMON_COUNT_GRANTS_H
#define DAEMON_COUNT_GRANTS_H

#include <vpmu/count.h>
#include "arbiter.h"
#include "util/vec.h"

struct count_grant {
	size_t counter; /* of vpmu_counters_event() */
	char event[128];
	bool guest; /* on the guest's side; else on the host's */
	unsigned int fixed;
	struct grant grant;
};

struct count_grants {
	struct arbiter *arbiter; /* NULL = a copy, or nobody is asked */
	uint64_t request;
	VEC(struct count_grant) items; /* hardware counters alone */
};

/* @arbiter NULL (for tests): all is granted. @events: as vpmu_counters_opts.events. Errors: -ENOMEM. */
int count_grants_ask(struct arbiter *arbiter, const char *events, int priority, struct count_grants *ret_grants);
void count_grants_give_back(struct count_grants *grants);

/* The arbiter has told somebody (arbiter_changed_fn). Returns whether that is us. */
bool count_grants_changed(struct count_grants *grants, uint64_t request, size_t event, const struct grant *grant);

/* @grants as they are now, for another thread: *@copy is given back like the original. Errors: -ENOMEM. */
int count_grants_copy(const struct count_grants *grants, struct count_grants *copy);

/* Keeps @counters, of the same events, from opening what was refused. */
void count_grants_withhold(const struct count_grants *grants, struct vpmu_counters *counters);

/* What @row does not say itself: why it counted part of the time only; NULL = nothing. */
const char *count_grants_note(const struct count_grants *grants, const struct vpmu_count *row);

#endif

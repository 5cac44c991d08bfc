/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread or a CPU that is being sampled: a plan's events opened on it, and what is known of it.
 */
#ifndef SESSION_TARGET_H
#define SESSION_TARGET_H

#include "host/ring.h"
#include "session/plan.h"

struct target {
	struct ring *ring;
	pid_t pid, tid;	      /* -1 for a CPU */
	int cpu;	      /* -1 for a thread */
	uint32_t guest, vcpu; /* of a thread */
	uint64_t lost;	      /* as told by PERF_RECORD_LOST so far */
	uint64_t ids[];	      /* one an event of the plan */
};

/*
 * Opens @plan's events on @tid of @pid, or on @cpu, and notes their ids in the plan. Not enabled
 * yet.
 * Errors: -ESRCH (the thread is gone), -EACCES, -EMFILE, -ENOMEM, …, with text.
 */
int target_open(struct plan *plan, pid_t pid, pid_t tid, int cpu, struct target **ret_target,
		struct vpmu_error *reterr);
/* Its guest samples go to the plan's program from now on, where the kernel lets them. */
void target_attach_chains(struct target *target, struct plan *plan);

struct target *target_free(struct target *target);
DEFINE_CLEANUP(struct target *, target_free)

/* Index of the event with this id. */
static inline uint32_t target_event(const struct target *target, const struct plan *plan,
				    uint64_t id)
{
	for (uint32_t i = 1; i < plan->n_events; i++)
		if (target->ids[i] == id)
			return i;
	return 0;
}

#endif

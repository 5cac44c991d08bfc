/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session/target.h"
#include "util/error.h"
#include "util/log.h"
#include "util/macro.h"

/*
 * A smaller ring is better than none, as long as nobody asked for a size: it is only emptied more
 * often.
 */
#define SMALLEST_RING_BYTES (32u * 1024)

struct target *target_free(struct target *target)
{
	if (!target)
		return NULL;
	ring_free(target->ring);
	free(target);
	return NULL;
}

static int refused(const struct plan *plan, size_t failed, int code, const struct target *target,
		   struct vpmu_error *reterr)
{
	char what[64];

	if (target->cpu >= 0)
		snprintf(what, sizeof(what), "CPU %d", target->cpu);
	else
		snprintf(what, sizeof(what), "thread %d", (int)target->tid);
	if (code == -ESRCH)
		return error_set(reterr, code, "%s is gone", what);
	if (failed < plan->n_events)
		return event_open_error(&plan->events[failed].spec, code, what, reterr);
	error_set(reterr, code, "cannot map a ring of %zu KiB for %s: %s", plan->ring_bytes / 1024,
		  what, strerror(-code));
	if (code == -EPERM || code == -ENOMEM)
		error_hint(reterr, "fewer threads, a smaller ring, CAP_IPC_LOCK, or more of "
				   "kernel.perf_event_mlock_kb or RLIMIT_MEMLOCK");
	return code;
}

/*
 * The program takes the host's samples only if it counts them. Those of a precise event without chains it may not (it asks for
 * chains: perf_event_set_bpf_handler(), kernel/events/core.c).
 */
static bool can_attach(const struct plan *plan, const struct event_spec *spec)
{
	if (spec->is_tracepoint)
		return false;
	return !spec->attr.exclude_guest || (guest_chains_counted(plan->guest_chains) && !spec->attr.precise_ip);
}

void target_attach_chains(struct target *target, struct plan *plan)
{
	_free_ signed char *by_nmi = calloc(plan->n_events, sizeof(*by_nmi));
	int r;

	for (size_t i = 0; by_nmi && i < plan->n_events; i++) {
		const struct event_spec *spec = &plan->events[i].spec;

		by_nmi[i] = can_attach(plan, spec) ? spec->is_hardware : -1;
	}
	r = by_nmi ? ring_attach_chains(target->ring, plan->guest_chains, by_nmi, plan->n_events) : -ENOMEM;
	if (r == 0 || plan->said_unattached)
		return;
	plan->said_unattached = true;
	if (plan->walks_guests)
		log_warn("some guest samples come without call chains: the kernel does not attach the program: %s", strerror(-r));
	else
		log_debug("some guest samples come without their tasks: the kernel does not attach the program: %s", strerror(-r));
}

static int open_ring(const struct perf_event_attr *attrs, struct plan *plan, struct target *target,
		     size_t *failed)
{
	int r;

	for (;;) {
		if (plan->sees_guests || plan->aggregates)
			r = ring_open_chains(attrs, plan->n_events, target->tid, target->cpu, plan->ring_bytes,
					     &target->ring, target->ids, failed);
		else
			r = ring_open(attrs, plan->n_events, target->tid, target->cpu, plan->ring_bytes, &target->ring,
				      target->ids, failed);
		if (r != -EPERM || *failed != plan->n_events || plan->ring_bytes_asked_for ||
		    plan->ring_bytes <= SMALLEST_RING_BYTES)
			return r;
		plan->ring_bytes /= 2;
		log_debug("locked memory is short: rings of %zu KiB from here on",
			  plan->ring_bytes / 1024);
	}
}

int target_open(struct plan *plan, pid_t pid, pid_t tid, int cpu, struct target **ret_target,
		struct vpmu_error *reterr)
{
	_cleanup_(target_freep) struct target *target = NULL;
	_free_ struct perf_event_attr *attrs = NULL;
	size_t failed;
	int r;

	target = calloc(1, sizeof(*target) + plan->n_events * sizeof(*target->ids));
	attrs = calloc(plan->n_events, sizeof(*attrs));
	if (!target || !attrs)
		return error_oom(reterr);
	target->pid = pid;
	target->tid = tid;
	target->cpu = cpu;
	target->guest = VPMU_NO_GUEST;
	target->vcpu = VPMU_NO_VCPU;
	for (size_t i = 0; i < plan->n_events; i++) {
		attrs[i] = plan->events[i].spec.attr;
		if (!vec_reserve(&plan->events[i].ids, 1))
			return error_oom(reterr);
	}
	r = open_ring(attrs, plan, target, &failed);
	if (r < 0)
		return refused(plan, failed, r, target, reterr);
	if (plan->guest_chains)
		target_attach_chains(target, plan);
	for (size_t i = 0; i < plan->n_events; i++)
		(void)vec_push(&plan->events[i].ids, target->ids[i]);
	*ret_target = take_ptr(target);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From what a client asks for to what the arbiter is asked for, and back: the events of a session with their classes, and
 * the list of those that it got.
 */
#ifndef DAEMON_SESSION_PLAN_H
#define DAEMON_SESSION_PLAN_H

#include <vpmu/session.h>
#include "arbiter.h"
#include "util/cleanup.h"

struct session_plan {
	size_t n;
	struct arbiter_event *events; /* their names are owned */
	struct grant *grants;	      /* to be filled by arbiter_request(); all "granted" until then */
	bool by_default;	      /* no events were named */
	char source[64];	      /* "cpu-clock 999 Hz", as it would be without the arbiter */
	uint32_t frequency_hz;	      /* of the first event; 0 = by period */
	uint64_t period;
};

/*
 * session_plan_make - @opts: as for vpmu_session_new(), whose errors these are; opens nothing.
 * session_plan_fixed - what counts an event whose name is @name, modifiers included, alone: one of VPMU_FIXED_*, or 0.
 */
int session_plan_make(const struct vpmu_session_opts *opts, struct session_plan *ret_plan, struct vpmu_error *reterr);
unsigned int session_plan_fixed(const char *name);
void session_plan_deinit(struct session_plan *plan);

/*
 * session_plan_pace - fills in how often rings and threads are looked at, and how large rings are, for the rate that is set: a slow
 * session over many vCPUs costs next to nothing then. For sessions that are told of new vCPUs (runner_add_guest()).
 */
void session_plan_pace(struct vpmu_session_opts *opts, bool whole_process);

/*
 * session_plan_events - *ret_events: what to hand to vpmu_session_opts.events, to be freed; NULL = the default source.
 * Errors: -EBUSY (nothing was granted), -ENOMEM.
 */
int session_plan_events(const struct session_plan *plan, char **ret_events);

#endif

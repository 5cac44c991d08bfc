/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the records of a session go, whichever ring they come from. A run of records is looked at
 * twice:
 *
 *   1. count (coverage, lost, throttled), leave out sides that were not asked for, note mappings
 * and names, copy to the recording;
 *   2. only if somebody listens: decode each sample and hand it over.
 *
 * So a sample is described with everything that is known at the end of its run, and a session that
 * only records never decodes one.
 */
#ifndef SESSION_INTAKE_H
#define SESSION_INTAKE_H

#include <vpmu/session.h>
#include "session/hits.h"
#include "session/plan.h"
#include "session/process.h"
#include "session/recorder.h"
#include "session/roster.h"
#include "session/target.h"

struct intake {
	const struct plan *plan;
	const struct roster *roster;
	struct processes *processes;
	struct guest_tasks *tasks;
	struct vpmu_symbolizer *symbolizer;
	struct recorder *recorder; /* NULL = nothing is written */
	vpmu_sample_fn fn;	   /* NULL = nobody listens */
	void *fn_data;

	struct vpmu_coverage coverage;
	uint64_t first_time_ns, last_time_ns; /* of samples */
	bool collect_hits;		      /* a recording wants symbols */
	struct hits hits;
	bool unsettled; /* processes got something new */
	uint64_t n_more; /* of the sample that is being taken in: so many more are like it */
};

void intake_deinit(struct intake *intake);

/* Whose vCPU is thread @tid of process @pid, which @target sampled: VPMU_NO_GUEST, VPMU_NO_VCPU if nobody's. */
void intake_whose(const struct intake *intake, const struct target *target, pid_t pid, pid_t tid, uint32_t *ret_guest,
		  uint32_t *ret_vcpu);

/* Takes whole records of @target (NULL: made by us). Errors: those of the recorder. */
int intake_records(struct intake *intake, struct target *target, const void *records,
		   size_t n_bytes);

/* Takes one record of @target, which stands for @n samples that are the same; its period is that of all. */
int intake_many(struct intake *intake, struct target *target, const struct perf_event_header *record, uint64_t n);

/* Empties @target's ring. */
int intake_drain(struct intake *intake, struct target *target);

/* @target is about to be freed: its last records, and the losses that no record told. */
int intake_last(struct intake *intake, struct target *target);

#endif

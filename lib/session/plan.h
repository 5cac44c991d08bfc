/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a session samples: its options, turned into events that can be opened on any thread or CPU.
 *
 * Sources (vpmu/host.h). With hardware cycles there are two events a target, one for each side.
 * The software clock needs one: it ticks whatever runs, and each record's cpumode tells the side.
 * exclude_guest and exclude_host must not be set on it: they filter nothing, and since Linux 6.13
 * an event with exclude_guest reports a host address for time spent in the guest. So if only one
 * side is asked for, records of the other one are left out when they arrive (plan_event.sides).
 *
 * Every event has the same sample type, so that what comes in can be looked at without decoding:
 * struct plan_sample.
 */
#ifndef SESSION_PLAN_H
#define SESSION_PLAN_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <vpmu/session.h>
#include "format/perf_record.h"
#include "host/event.h"
#include "host/guest_chains.h"
#include "util/vec.h"

#define PLAN_SAMPLE_TYPE                                                                \
	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | \
	 PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD)

/* How a sample of that type begins (linux/perf_event.h, "enum perf_event_type"). */
struct plan_sample {
	struct perf_event_header header;
	uint64_t id, ip;
	uint32_t pid, tid;
	uint64_t time_ns;
	uint32_t cpu, reserved;
	uint64_t period;
	uint64_t n_chain, chain[]; /* with PERF_SAMPLE_CALLCHAIN only */
};

/* How the other records end (sample_id_all). */
struct plan_record_tail {
	uint32_t pid, tid;
	uint64_t time_ns;
	uint32_t cpu, reserved;
	uint64_t id;
};

struct plan_event {
	struct event_spec spec; /* its attr is complete: what is opened */
	struct perf_layout layout;
	struct vpmu_event_info info;
	unsigned int sides; /* VPMU_SIDES_*: samples of others are left out */
	VEC(uint64_t) ids;  /* of every target it was opened on, in order of opening */
};

struct plan {
	enum vpmu_source source;
	char source_line[64];	   /* "cpu-clock 999 Hz" */
	struct plan_event *events; /* the first one also reports mappings, names, forks */
	size_t n_events;
	bool filters; /* some event's sides are not all */
	bool chains; /* samples have room for one */
	uint32_t frequency_hz; /* of the events that have no period */
	uint16_t max_chain; /* addresses at which the kernel cuts them off */
	struct guest_chains *guest_chains; /* takes guests' samples; NULL = the kernel does, without chains and tasks */
	bool sees_guests;  /* guest samples are wanted: the program may be attached, now or later */
	bool walks_guests; /* call chains of guests were asked for */
	bool aggregates;   /* what is the same may be counted in the kernel */
	bool host_chains;
	uint32_t guest_stack_bytes; /* of programs whose files are at hand */
	bool tried_guest_chains, said_unattached;
	const char *tracefs; /* where tracepoints are described */
	size_t ring_bytes;
	bool ring_bytes_asked_for; /* else a smaller ring will do */
	uint64_t bytes_a_second;   /* what a busy target writes, roughly; 0 = cannot be told */
};

/*
 * Loads the program that takes guests' samples, if it is not yet there; call chains of guests are taken from the start, tasks once there
 * is a guest whose tasks can be told, for loading takes a tenth of a second. false: cannot be had; it is tried once.
 */
bool plan_open_guest_chains(struct plan *plan);

int plan_init(struct plan *plan, const struct vpmu_session_opts *opts, struct vpmu_error *reterr);
void plan_deinit(struct plan *plan);

/* Where this host has, or would have, its tracefs. */
const char *plan_tracefs_path(void);

#endif

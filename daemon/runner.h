/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vpmu_session in a thread of its own: the thread polls, aggregates into a profile, names addresses; the loop tells it
 * what to do and hears what became of it. Everything here is called from the loop, every callback comes in the loop.
 *
 * runner_cut() is how a profile is looked at while it goes on: the thread names what it has, hands it over, and begins
 * a new one. Who wants totals merges (vpmu_profile_merge()).
 */
#ifndef DAEMON_RUNNER_H
#define DAEMON_RUNNER_H

#include <vpmu/profile.h>
#include <vpmu/session.h>
#include "jobs.h"

struct runner;

struct runner_opts {
	const struct vpmu_session_opts *session; /* copied, strings too */
	bool node_wide;
	bool whole_process;
	bool profile;	       /* aggregate; else samples only count, or go to the recording */
	bool chains;	       /* in the profile */
	int record_fd;	       /* where a recording goes, taken; -1 = none */
	uint64_t duration_ns;  /* 0 = until stopped */
	uint32_t poll_ms;      /* how often the rings are emptied at most; 0 = as often as they want */
};

struct runner_status {
	uint64_t samples, guest_samples, lost, bytes;
	struct vpmu_coverage coverage;
	enum vpmu_source source;
	char source_text[64];
	size_t n_guests;
};

struct runner_events {
	/* The session started; or it failed (and the runner is over). */
	void (*started)(struct runner *runner, const struct vpmu_error *error, void *data);
	/* It is over: time, stop, or failure; the recording is finished. error NULL = in peace. */
	void (*ended)(struct runner *runner, const struct vpmu_error *error, void *data);
};

int runner_new(struct jobs *jobs, const struct runner_opts *opts, const struct runner_events *events, void *data,
	       struct runner **ret_runner, struct vpmu_error *reterr);

/* Waits for the thread (which ends within 200 ms); no callback comes after this. */
struct runner *runner_free(struct runner *runner);
DEFINE_CLEANUP(struct runner *, runner_free)

/* Before start, or any time later. The guest is copied. One that is gone by then is no error. */
int runner_add_guest(struct runner *runner, const struct vpmu_guest_info *guest);

int runner_start(struct runner *runner);
int runner_stop(struct runner *runner); /* `ended` comes */

/* @fn gets the resolved profile since the last cut, which is its to free; NULL and an error if there is none. */
typedef void (*runner_cut_fn)(struct vpmu_profile *profile, const struct vpmu_error *error, void *data);
int runner_cut(struct runner *runner, runner_cut_fn fn, void *data);

/* As of the last time the thread told: at most a second ago. */
void runner_status(const struct runner *runner, struct runner_status *ret_status);

#endif

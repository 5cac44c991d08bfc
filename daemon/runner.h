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
	size_t profile_bytes;  /* memory that the profile between two cuts may take; 0 = 32 MiB. Guests choose what is in it */
	int record_fd;	       /* where a recording goes (a file, a memfd), taken; -1 = none */
	const char *cmdline;   /* of the recording, NULL = none; copied */
	uint64_t duration_ns;  /* 0 = until stopped */
};

struct runner_status {
	struct vpmu_coverage coverage; /* resolved and opaque are known to the cuts only */
	enum vpmu_source source;
	size_t n_guests; /* there were so far */
	uint64_t bytes;	 /* of the recording */
};

struct runner_events {
	/* The session started; or it failed (and the runner is over, without `ended`). */
	void (*started)(struct runner *runner, const struct vpmu_error *error, void *data);
	/* A guest that was added later cannot be profiled; the others can. May be NULL. */
	void (*refused)(struct runner *runner, pid_t pid, const struct vpmu_error *error, void *data);
	/*
	 * The profile is full: what is sampled until the next cut counts as lost. Called once for each. May be NULL, for who
	 * cuts by the clock.
	 */
	void (*full)(struct runner *runner, void *data);
	/*
	 * It is over: time, stop, no guest left (unless the session is one that waits for guests), or failure; the
	 * recording is finished. error NULL = in peace.
	 */
	void (*ended)(struct runner *runner, const struct vpmu_error *error, void *data);
};

/* Takes opts->record_fd on failure, too. Errors: -ENOMEM. */
int runner_new(struct jobs *jobs, const struct runner_opts *opts, const struct runner_events *events, void *data,
	       struct runner **ret_runner, struct vpmu_error *reterr);

/*
 * Waits for the thread; no callback comes after this, and what was to be cut is dropped. The thread ends at once, unless it is
 * finishing a recording: from half a second after the stop on, symbols that it had to load are left out.
 */
struct runner *runner_free(struct runner *runner);
DEFINE_CLEANUP(struct runner *, runner_free)

/*
 * Before start, or any time later. The guest is copied. One that is gone by then is no error. One that is there already
 * has its threads looked at: where vCPUs come and go by events, sessions need not look often (session->follow_ms).
 */
int runner_add_guest(struct runner *runner, const struct vpmu_guest_info *guest);

/* `started` comes. Errors: -EAGAIN (threads), -EALREADY. */
int runner_start(struct runner *runner);
/*
 * `ended` comes, if it did not yet: at once, or when the last addresses are named. For what a guest's memory says about them
 * nobody waits longer than a second and a half: a guest can make that take any time.
 */
void runner_stop(struct runner *runner);

/*
 * @fn gets the resolved profile since the last cut, which is its to free; NULL and an error if there is none. Once the runner is
 * over there is one more to be had: what was sampled until then. Errors: -ENOMEM, -EINVAL (not started, or without a profile).
 */
typedef void (*runner_cut_fn)(struct vpmu_profile *profile, const struct vpmu_error *error, void *data);
int runner_cut(struct runner *runner, runner_cut_fn fn, void *data);

/*
 * runner_finish - stop here and now, without the loop: what was sampled since the last cut, named, the caller's to free; NULL if there
 * is nothing. Waits for the thread, which may be naming addresses: from half a second after the stop on, those whose symbols it had to load
 * stay without. All that is left to do with the runner then is runner_free().
 */
struct vpmu_profile *runner_finish(struct runner *runner);

/* As of the thread's last round (see vpmu_session_opts.pace_ms). */
void runner_status(const struct runner *runner, struct runner_status *ret_status);

#endif

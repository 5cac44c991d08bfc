/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A runner from inside: runner.c is what the loop does with it, runner_thread.c what its thread does, runner_profile.c the thread's
 * profile, runner_message.c what the thread says to the loop.
 *
 * Two threads share a runner. The session, its profile and its symbolizer are the thread's alone; what both touch is behind the lock:
 * orders on their way to the thread, the status on its way back, and the session's address, for waking it.
 *
 * What the thread has to say goes through jobs_post(), in order. Such a post holds a reference, because the loop may
 * free the runner while the post is on its way; it then finds that nobody listens any more.
 */
#ifndef DAEMON_RUNNER_PRIVATE_H
#define DAEMON_RUNNER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "manager.h"
#include "runner.h"
#include "util/vec.h"

/* After the stop: so long may the thread wait for those who parse guests' memory, which a guest can make hang. */
#define GUESTS_NS (3 * UINT64_C(500000000))

/* To the thread: a guest to be added, or (fn) a profile to be cut. */
struct order {
	struct vpmu_guest_info guest;
	runner_cut_fn fn;
	void *data;
};

typedef VEC(struct order) orders;

struct runner {
	atomic_uint refs;
	struct jobs *jobs;
	struct runner_events events;
	void *data;

	/* As in runner_opts, owned. */
	struct vpmu_session_opts session_opts;
	char *texts[6]; /* that session_opts and cmdline point into */
	const char *cmdline;
	bool node_wide, whole_process, wants_profile, chains;
	size_t profile_bytes;
	int record_fd;
	uint64_t duration_ns;

	/* The loop's. */
	pthread_t thread;
	bool has_thread, freed;

	/* The thread's. */
	struct vpmu_profile *profile;
	struct vpmu_coverage cut_at; /* of the session when the profile began */
	bool full;
	struct vpmu_coverage full_at; /* and when it was full */

	pthread_mutex_t lock;
	orders orders;
	bool stop, over;
	uint64_t stop_ns; /* when it was told to; 0 = it was not */
	atomic_bool dropped;	      /* nobody waits for what the thread has to say */
	struct vpmu_session *session; /* may be woken; NULL = not there yet, or no more */
	struct runner_status status;
	struct vpmu_profile *last; /* over: what was sampled since the last cut */
};

/* The loop and posts on their way have one each. */
struct runner *runner_unref(struct runner *runner);
DEFINE_CLEANUP(struct runner *, runner_unref)

void runner_orders_free(orders *list);

/* runner_thread.c: the thread. */
void *runner_run(void *runner);

/* ---- runner_message.c ---- */

/* What the thread says to the loop. */
struct runner_message {
	struct runner *runner;
	enum { MESSAGE_STARTED, MESSAGE_REFUSED, MESSAGE_FULL, MESSAGE_ENDED, MESSAGE_CUT } what;
	pid_t pid;
	struct vpmu_error error; /* code 0 = none */
	struct vpmu_profile *profile;
	runner_cut_fn fn;
	void *data;
};

/* Takes @content's profile. Its runner is filled in. */
void runner_post(struct runner *runner, const struct runner_message *content);

/* ---- runner_profile.c, all in the thread ---- */

int runner_begin_profile(struct runner *runner, struct vpmu_session *session, struct vpmu_error *reterr);

/* To be called each round: a profile that is full takes no more, and the loop hears of it. */
void runner_watch_profile(struct runner *runner, struct vpmu_session *session);

/* The profile so far, resolved. Another one begins, unless the session has @ended. */
int runner_cut_profile(struct runner *runner, struct vpmu_session *session, bool ended, struct vpmu_profile **ret_profile,
		       struct vpmu_error *reterr);

#endif

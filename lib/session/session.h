/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session's parts. session.c has its life, poll.c what goes on while it runs.
 *
 *	plan	    what is opened on every target
 *	tasks	    who runs inside them
 *	roster	    which guests, and whose each thread is
 *	targets	    the threads or CPUs with their rings
 *	intake	    where records go: coverage, callback, recorder
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <vpmu/session.h>
#include "session/guest_tasks.h"
#include "session/intake.h"
#include "session/plan.h"
#include "session/process.h"
#include "session/recorder.h"
#include "session/roster.h"
#include "session/target.h"

struct vpmu_session {
	struct plan plan;
	struct roster roster;
	VEC(struct target *) targets;
	struct processes *processes;
	struct guest_tasks *tasks;
	struct vpmu_symbolizer *symbolizer;
	struct recorder *recorder;
	struct intake intake;
	char *proc_path;
	/* With whole CPUs: all guests there are, to tell whose a thread is. */
	struct vpmu_guests *host_guests;
	bool whole_cpus, started, stopped;
	bool wait_for_guests;
	int wake_fd;	      /* eventfd: poll is to return */
	uint64_t pace_max_ns, follow_every_ns;
	uint64_t pace_ns;     /* from one round to the next */
	uint64_t round_at_ns; /* when the next one is due (CLOCK_MONOTONIC) */
	uint64_t follow_at_ns;
	uint64_t counts_every_ns, counts_at_ns; /* when what the kernel counted is taken in */
};

uint64_t session_now_ns(void);

/* poll.c: the pace for the plan's expected rate. */
void session_set_pace(struct vpmu_session *session);

/*
 * poll.c: opens those threads of guest @index that are to be profiled and are not yet; once
 * started, enables them. A thread that is gone already is no error. Returns 0 or what
 * target_open() gave.
 */
int session_open_threads(struct vpmu_session *session, uint32_t index, struct vpmu_error *reterr);

/*
 * poll.c: takes leave of guest @index's targets that are not among its threads any more, also if
 * another thread has got the id (all, if the guest is dead).
 */
int session_close_threads(struct vpmu_session *session, uint32_t index);

/*
 * guest_drain.c: takes in the guest samples of the BPF program, if there is one. To be called before any target goes away.
 * Errors: those of the intake.
 */
int session_drain_guests(struct vpmu_session *session);

/*
 * guest_drain.c: takes in what the program has counted; without effect if it counts nothing. Takes some milliseconds of waiting. Errors: those of
 * the intake and of the kernel's maps.
 */
int session_drain_counts(struct vpmu_session *session);

/* guest_drain.c: warns about guest samples without call chains, and says why. */
void session_say_misses(const struct vpmu_session *session);

/* poll.c: the guests that run here become part of the roster, the dead are buried. */
int session_look_for_guests(struct vpmu_session *session, struct vpmu_error *reterr);

/* poll.c: looks at the threads of guest @index. Errors: those of the intake. */
int session_follow_guest(struct vpmu_session *session, uint32_t index);

/* The text for a failure of the intake. */
int session_intake_error(const struct vpmu_session *session, int code, struct vpmu_error *reterr);

#endif

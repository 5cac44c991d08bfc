/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session from inside. sessions.c has all of them, session_new.c what is wanted of one, session_guests.c its guests, session_run.c its
 * counters and runner, session_look.c its profile.
 *
 * A session may be referred to by a job in the pool while it goes: who works on it holds a reference.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "sessions.h"
#include "util/vec.h"

struct sessions {
	struct manager *manager;
	VEC(struct session *) list; /* in order of their start */
	int domain_listener;
	sd_event_source *regrant; /* the arbiter has changed its mind about somebody */
	uint64_t past_samples, past_lost;
};

struct look {
	session_look_fn fn;
	void *data;
};

typedef VEC(struct look) looks;

/* A guest that a session profiles, or did: who may see it is asked again when it is gone, too. */
struct session_guest {
	uint64_t id;	   /* the domain's */
	char *name, *uuid; /* the last that we heard of */
};

struct session {
	struct sessions *all; /* NULL: it is no longer among them */
	struct jobs *jobs;
	unsigned int refs;
	bool ran; /* its caller heard that it started, and has not heard of its end */

	char *name;
	struct peer owner; /* groups owned */
	uint64_t connection;
	VEC(char *) guests;
	struct vpmu_session_opts opts;
	char *events; /* as asked for */
	char *cmdline;
	bool node_wide, whole_process;
	uint64_t duration_ns;
	int priority, record_fd;
	bool is_recording;
	bool ends_with_guests;

	enum session_state state;
	struct session_plan plan;
	char *why;
	uint64_t request; /* the arbiter's; 0 = none */
	bool regrant;	  /* what it was granted has changed */
	bool stopping;
	struct session_events listener;
	void *listener_data;
	void (*stopped)(struct session *session, void *data);
	void *stopped_data;

	VEC(struct session_guest) seen;
	struct runner *runner; /* NULL = over */
	bool runner_ended;     /* it has said all it has to say, but for its last profile */
	struct runner_status status; /* of the runner that is over */
	int64_t started_ms;
	uint64_t end_ns; /* CLOCK_MONOTONIC; 0 = none */

	/* session_look.c */
	struct vpmu_profile *total; /* NULL = nothing so far, or a job has it */
	struct vpmu_error look_error; /* the last cut's */
	looks looks;
	bool no_room;	    /* the runner's profile is to be cut, although nobody looks */
	bool looking;	    /* a cut or a job is under way */
	bool cutting;	    /* it is a cut: it goes with the runner */
	bool last_taken;    /* of the runner that has ended */
	unsigned int epoch; /* another one: the profile began anew */
};

/* session_look.c: the runner has ended: takes over its last profile, then calls session_closed(). */
void session_take_last(struct session *session);
/* session_look.c: the runner goes, and what it was asked for with it; session_look_on() serves those who wait for that. */
void session_free_runner(struct session *session);
void session_look_on(struct session *session);
/* session_look.c: those who wait for a look get @error. */
void session_fail_looks(struct session *session, const struct vpmu_error *error);
/* session_look.c: the runner has no room for more: cuts its profile, looks how large the whole is. */
void session_make_room(struct session *session);
/* session_look.c: what was sampled so far is dropped. */
void session_forget_profile(struct session *session);

/* ---- session_run.c ---- */

/* Asks the arbiter. Errors: as sessions_start(). */
int session_get_counters(struct session *session, struct session_refusal *refusal);

/* With all guests of now. */
int session_open_runner(struct session *session, struct vpmu_error *reterr);

/* The runner is not needed any more. */
void session_closed(struct session *session);

/* It was stopped: those who wait for that hear of it, and it is dropped. */
void session_finish_stop(struct session *session);

/* Leaves the list, gives back what it holds. Whoever still refers to it finds it without `all`. */
void session_drop(struct session *session);

void session_set_why(struct session *session, const char *why);

/* ---- session_guests.c ---- */

bool session_wants(const struct session *session, const struct domain *domain);
int session_add_guest(struct session *session, const struct domain *domain);

/* A domain_fn. */
void sessions_on_domain(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu,
			void *sessions);

/* Before the start: there are such guests, and they may be profiled; one of them runs, if that is needed. Errors: as sessions_start(). */
int sessions_check_guests(struct sessions *sessions, const struct session_wishes *wishes, struct session_refusal *refusal);
int session_check_running(const struct session *session, struct session_refusal *refusal);

#endif

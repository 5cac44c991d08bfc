/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sessions that clients started, recordings among them. A session belongs to a user; unless it is lasting it ends with the
 * connection that started it.
 *
 *	STARTING -> RUNNING -> DONE	its time is over, its guests are gone: what it saw can be had until it is stopped
 *	      \________\____-> FAILED	says why
 *
 * A session's guests are those that match its patterns and its owner may see: those of now, and those that come. When a
 * more important session takes a counter away, a session goes on with what is left, its profile beginning anew (weights of
 * other units cannot be added to it); a recording ends there.
 */
#ifndef DAEMON_SESSIONS_H
#define DAEMON_SESSIONS_H

#include <vpmu/profile.h>
#include "call.h"
#include "domains.h"
#include "manager.h"
#include "runner.h"
#include "session_plan.h"

struct sessions;
struct session;

enum session_state { SESSION_STARTING, SESSION_RUNNING, SESSION_DONE, SESSION_FAILED };
const char *session_state_name(enum session_state state); /* "running", …; of one that is starting, too */

/* What a client asks for. Everything is copied. */
struct session_wishes {
	const char *name; /* NULL = one is made up */
	const struct peer *owner;
	uint64_t connection; /* that keeps it alive; 0 = it is lasting */
	const char *const *guests; /* patterns; none = all that the owner may see */
	size_t n_guests;
	bool node_wide;
	bool whole_process;
	bool ends_with_guests; /* when there are none any more, and takes some to start; recordings do in any case */
	const char *events; /* NULL = the default source */
	uint32_t frequency_hz;
	uint64_t period;
	unsigned int sides;
	bool chains;
	uint64_t duration_ns; /* 0 = no end */
	int priority;
	int record_fd;	      /* a recording: where to, taken in any case; -1 = a profile is kept instead */
	const char *cmdline;  /* for the recording's header */
};

/* Why a session could not be had, beyond an error's text. */
struct session_refusal {
	struct vpmu_error error;
	char *subject;		  /* of -ENOENT: the guest; of -EINVAL: the parameter; may be NULL */
	uint32_t limit;		  /* of -EDQUOT */
	struct session_plan plan; /* of -EBUSY: what each event got */
};
void session_refusal_deinit(struct session_refusal *refusal);

struct session_info {
	const char *name;
	uid_t owner_uid;
	pid_t owner_pid;
	bool lasting, node_wide, chains, is_recording;
	const char *const *guests;
	size_t n_guests;
	enum session_state state;
	const char *why; /* of FAILED; or what else is to be said; NULL = nothing */
	const char *source;
	const struct session_plan *plan;
	uint32_t frequency_hz; /* in use; 0 = by period */
	uint64_t period;
	unsigned int sides;
	int priority;
	int64_t started_ms;	 /* Unix time */
	int64_t remaining_ms;	 /* -1 = no end */
	struct runner_status status;
};

int sessions_new(struct manager *manager, struct sessions **ret_sessions, struct vpmu_error *reterr);
/* All are told to end, so that what each has left to do is done side by side with that of others. NULL is fine. */
void sessions_about_to_end(struct sessions *sessions);
/* Ends all. Those who wait hear of it. */
struct sessions *sessions_free(struct sessions *sessions);
DEFINE_CLEANUP(struct sessions *, sessions_free)

struct session_events {
	/* It runs, or failed to; then the session goes at once, and @session is NULL. */
	void (*started)(struct session *session, const struct vpmu_error *error, void *data);
	/* It is DONE or FAILED, or somebody stopped it. May be NULL; called once, if it was started. */
	void (*ended)(struct session *session, void *data);
};

/*
 * sessions_start - `started` comes unless this fails: -EEXIST (name), -EDQUOT, -ENOENT (a guest), -EPERM (node-wide), -EBUSY
 * (the arbiter), -EINVAL, -EOPNOTSUPP, … @refusal is filled then, and to be deinited in any case.
 */
int sessions_start(struct sessions *sessions, const struct session_wishes *wishes, const struct session_events *events,
		   void *data, struct session **ret_session, struct session_refusal *refusal);

/*
 * Who keeps a pointer to a session beyond `started` holds a reference: it may be stopped by others, or with its connection.
 * session_is_there - it is still among the sessions.
 * session_forget_events - nobody is called back any more: whoever started it is gone.
 */
struct session *session_ref(struct session *session);
struct session *session_unref(struct session *session);
DEFINE_CLEANUP(struct session *, session_unref)
bool session_is_there(const struct session *session);
void session_forget_events(struct session *session);

/* session_end_early - lets a running session end as if its time were over, with a remark. */
void session_end_early(struct session *session, const char *why);

/*
 * sessions_stop - end it and forget it. @fn (may be NULL) sees it a last time when everything is closed, which may be at once.
 * -EALREADY: somebody else stops it, or did.
 */
int sessions_stop(struct session *session, void (*fn)(struct session *session, void *data), void *data);

/* After a reload: sessions whose owners may not see all that they profile, or did, any more are stopped. */
void sessions_reload(struct sessions *sessions);

/* For the arbiter's arbiter_changed_fn: a grant of a request that may be of one of these sessions. */
void sessions_grant_changed(struct sessions *sessions, uint64_t request, size_t event, const struct grant *grant);

/* The sessions that live by this connection are stopped. */
void sessions_connection_gone(struct sessions *sessions, uint64_t connection);

/* By name, if @peer may see it. Sessions that are being stopped are none any more. */
struct session *sessions_find(const struct sessions *sessions, const struct peer *peer, const char *name);
/* All in order of their start: NULL beyond the end. */
struct session *sessions_get(const struct sessions *sessions, size_t i);
bool session_may_see(const struct session *session, const struct peer *peer);
uint64_t sessions_samples(const struct sessions *sessions, uint64_t *ret_lost); /* of all sessions there were */

/* Belongs to the session, valid until the loop goes on. */
void session_info(const struct session *session, struct session_info *ret_info);
/* The domains that are being profiled now: calls @fn for each, in order of their names. */
void session_active_guests(const struct session *session, void (*fn)(const struct domain *domain, void *data), void *data);

/*
 * session_look - @fn gets what was sampled until now, its to free and to read only (others may have the same); NULL and an error (-ENODATA: nothing yet) if there is none.
 * It is always called, once and later, unless this fails: -EINVAL (a recording), -ENOMEM, -EBUSY (too many look at once).
 */
typedef void (*session_look_fn)(struct vpmu_profile *profile, const struct vpmu_error *error, void *data);
int session_look(struct session *session, session_look_fn fn, void *data);

#endif

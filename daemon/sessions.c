/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <time.h>

#include "access.h"
#include "arbiter.h"
#include "session.h"
#include "session_new.h"
#include "util/error.h"
#include "util/macro.h"

/* ---- start ---- */

static bool name_taken(const void *data, const char *name)
{
	const struct sessions *sessions = data;

	vec_for_each (session, &sessions->list)
		if (streq((*session)->name, name))
			return true;
	return false;
}

/* Everything is there but its runner. */
static int enlist(struct sessions *sessions, struct session *session, struct session_refusal *refusal)
{
	int r;

	if (!vec_reserve(&sessions->list, 1))
		return error_oom(&refusal->error);
	r = access_charge(sessions->manager->access, session->owner.uid, CHARGE_SESSION, &refusal->limit);
	if (r < 0) {
		error_set(&refusal->error, r, "there are %u sessions already", (unsigned int)refusal->limit);
		error_hint(&refusal->error, "StopSession ends one; vpmud.conf sets the limits");
		return r;
	}
	session->all = sessions;
	session->jobs = sessions->manager->jobs;
	(void)vec_push(&sessions->list, session_ref(session));
	return 0;
}

int sessions_start(struct sessions *sessions, const struct session_wishes *wishes, const struct session_events *events,
		   void *data, struct session **ret_session, struct session_refusal *refusal)
{
	_cleanup_(session_unrefp) struct session *session = NULL;
	int r;

	*refusal = (struct session_refusal){};
	r = session_new(wishes, name_taken, sessions, &session, refusal);
	if (r == 0)
		r = sessions_check_guests(sessions, wishes, refusal);
	if (r == 0)
		r = enlist(sessions, session, refusal);
	if (r < 0)
		return r;
	session->listener = *events;
	session->listener_data = data;
	r = session_check_running(session, refusal);
	if (r == 0)
		r = session_get_counters(session, refusal);
	if (r == 0)
		r = session_open_runner(session, &refusal->error);
	if (r < 0) {
		session_drop(session);
		return r;
	}
	*ret_session = session;
	return 0;
}

bool session_is_there(const struct session *session)
{
	return session->all != NULL;
}

void session_forget_events(struct session *session)
{
	session->listener = (struct session_events){};
}

/* ---- end ---- */

int sessions_stop(struct session *session, void (*fn)(struct session *session, void *data), void *data)
{
	if (session->stopping || !session->all)
		return -EALREADY;
	session->stopping = true;
	session->stopped = fn;
	session->stopped_data = data;
	if (session->runner && !session->runner_ended)
		runner_stop(session->runner);
	else if (session->runner)
		session_closed(session);
	else
		session_finish_stop(session);
	return 0;
}

void session_end_early(struct session *session, const char *why)
{
	if (!session->all || !session->runner || session->runner_ended)
		return;
	session_set_why(session, why);
	runner_stop(session->runner);
}

void sessions_connection_gone(struct sessions *sessions, uint64_t connection)
{
	size_t i = 0;

	while (sessions && i < sessions->list.n) {
		struct session *session = sessions->list.items[i];
		size_t n = sessions->list.n;

		if (connection && session->connection == connection && !session->stopping) {
			session_forget_events(session);
			(void)sessions_stop(session, NULL, NULL);
		}
		if (sessions->list.n == n)
			i++;
	}
}

/* ---- the arbiter ---- */

static int on_regrant(sd_event_source *source, void *data)
{
	struct sessions *sessions = data;

	(void)source;
	vec_for_each (item, &sessions->list) {
		struct session *session = *item;

		if (!session->regrant || !session->runner || session->runner_ended || session->stopping)
			continue;
		if (session->is_recording)
			session_set_why(session, "a more important session took a counter: the recording ended there");
		runner_stop(session->runner);
	}
	return 0;
}

void sessions_grant_changed(struct sessions *sessions, uint64_t request, size_t event, const struct grant *grant)
{
	if (!sessions)
		return;
	vec_for_each (item, &sessions->list) {
		struct session *session = *item;

		if (session->request != request || event >= session->plan.n)
			continue;
		session->plan.grants[event] = *grant;
		session->regrant = true;
		/* Not here: the arbiter is in the middle of it. */
		(void)sd_event_source_set_enabled(sessions->regrant, SD_EVENT_ONESHOT);
	}
}

/* ---- other rights ---- */

static bool still_may(const struct session *session)
{
	const struct manager *manager = session->all->manager;

	if (!access_may(manager->access, &session->owner, RIGHT_OPERATE) ||
	    (session->node_wide && !access_sees_all(manager->access, &session->owner)))
		return false;
	vec_for_each (guest, &session->seen)
		if (!access_may_see(manager->access, &session->owner, guest->name, guest->uuid))
			return false;
	return true;
}

void sessions_reload(struct sessions *sessions)
{
	size_t i = 0;

	while (i < sessions->list.n) {
		struct session *session = sessions->list.items[i];
		size_t n = sessions->list.n;

		if (!session->stopping && !still_may(session)) {
			session_set_why(session, "its owner lost the right to it");
			(void)sessions_stop(session, NULL, NULL);
		}
		if (sessions->list.n == n)
			i++;
	}
}


/* ---- what can be asked ---- */

bool session_may_see(const struct session *session, const struct peer *peer)
{
	const struct access *access = session->all->manager->access;

	return session->owner.uid == peer->uid ||
	       (access_may(access, peer, RIGHT_OPERATE) && access_sees_all(access, peer));
}

struct session *sessions_find(const struct sessions *sessions, const struct peer *peer, const char *name)
{
	vec_for_each (session, &sessions->list)
		if (streq((*session)->name, name) && !(*session)->stopping && session_may_see(*session, peer))
			return *session;
	return NULL;
}

struct session *sessions_get(const struct sessions *sessions, size_t i)
{
	return i < sessions->list.n ? sessions->list.items[i] : NULL;
}

uint64_t sessions_samples(const struct sessions *sessions, uint64_t *ret_lost)
{
	uint64_t samples = sessions->past_samples;

	*ret_lost = sessions->past_lost;
	vec_for_each (session, &sessions->list) {
		struct session_info info;

		session_info(*session, &info);
		samples += info.status.coverage.samples;
		*ret_lost += info.status.coverage.lost;
	}
	return samples;
}

/* ---- life ---- */

int sessions_new(struct manager *manager, struct sessions **ret_sessions, struct vpmu_error *reterr)
{
	_cleanup_(sessions_freep) struct sessions *sessions = calloc(1, sizeof(*sessions));
	int r;

	if (!sessions)
		return error_oom(reterr);
	sessions->manager = manager;
	r = sd_event_add_defer(manager->loop, &sessions->regrant, on_regrant, sessions);
	if (r >= 0)
		r = sd_event_source_set_enabled(sessions->regrant, SD_EVENT_OFF);
	if (r < 0)
		return error_errno(reterr, r, "watch", "the arbiter");
	sessions->domain_listener = domains_listen(manager->domains, sessions_on_domain, sessions);
	if (sessions->domain_listener < 0)
		return error_oom(reterr);
	*ret_sessions = take_ptr(sessions);
	return 0;
}

static void end_with_vpmud(struct session *session)
{
	struct vpmu_error error;

	if (session->state == SESSION_STARTING && session->listener.started) {
		error_set(&error, -ECANCELED, "vpmud ends");
		session->listener.started(NULL, &error, session->listener_data);
	}
	session_finish_stop(session);
}

void sessions_about_to_end(struct sessions *sessions)
{
	if (!sessions)
		return;
	vec_for_each (session, &sessions->list)
		if ((*session)->runner)
			runner_stop((*session)->runner);
}

struct sessions *sessions_free(struct sessions *sessions)
{
	if (!sessions)
		return NULL;
	if (sessions->domain_listener > 0)
		domains_unlisten(sessions->manager->domains, sessions->domain_listener);
	sessions_about_to_end(sessions);
	while (sessions->list.n)
		end_with_vpmud(sessions->list.items[0]);
	vec_free(&sessions->list);
	sd_event_source_disable_unref(sessions->regrant);
	free(sessions);
	return NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session's counters and its runner, and what becomes of the session when the runner has something to say. */
#include <errno.h>

#include "access.h"
#include "arbiter.h"
#include "session.h"
#include "util/error.h"
#include "util/macro.h"

/* ---- its end ---- */

static void tell_ended(struct session *session)
{
	bool ran = session->ran;

	session->ran = false;
	if (ran && session->listener.ended)
		session->listener.ended(session, session->listener_data);
}

/* Leaves the list, gives back what it holds. Whoever still refers to it finds it without `all`. */
void session_drop(struct session *session)
{
	struct sessions *sessions = session->all;
	struct vpmu_error gone;

	if (!sessions)
		return;
	for (size_t i = 0; i < sessions->list.n; i++) {
		if (sessions->list.items[i] != session)
			continue;
		sessions->list.n--;
		memmove(&sessions->list.items[i], &sessions->list.items[i + 1],
			(sessions->list.n - i) * sizeof(*sessions->list.items));
		break;
	}
	session->all = NULL;
	session_free_runner(session);
	sessions->past_samples += session->status.coverage.samples;
	sessions->past_lost += session->status.coverage.lost;
	if (session->request)
		arbiter_release(sessions->manager->arbiter, session->request);
	access_discharge(sessions->manager->access, session->owner.uid, CHARGE_SESSION);
	error_set(&gone, -ECANCELED, "session '%s' was stopped", session->name);
	session_fail_looks(session, &gone);
	session_unref(session);
}

void session_finish_stop(struct session *session)
{
	_cleanup_(session_unrefp) struct session *held = session_ref(session);
	void (*stopped)(struct session *session, void *data) = session->stopped;

	session->stopped = NULL;
	if (session->state == SESSION_STARTING || session->state == SESSION_RUNNING)
		session->state = SESSION_DONE;
	tell_ended(held);
	if (stopped)
		stopped(held, held->stopped_data);
	session_drop(held);
}

void session_set_why(struct session *session, const char *why)
{
	char *copy = strdup(why);

	if (!copy)
		return;
	free(session->why);
	session->why = copy;
}

static void release_counters(struct session *session)
{
	if (session->request)
		arbiter_release(session->all->manager->arbiter, session->request);
	session->request = 0;
}

void session_closed(struct session *session)
{
	runner_status(session->runner, &session->status);
	session_free_runner(session);
	release_counters(session);
	if (session->stopping) {
		session_finish_stop(session);
		return;
	}
	if (session->state != SESSION_FAILED)
		session->state = SESSION_DONE;
	session_look_on(session);
	tell_ended(session);
}

/* ---- what the runner says ---- */

/* It went on with other events than it began with. */
static void reopen(struct session *session)
{
	struct sessions *sessions = session->all;
	struct runner_status before;
	struct vpmu_error error;

	/* The session counts from nought again, all sessions together do not. */
	runner_status(session->runner, &before);
	sessions->past_samples += before.coverage.samples;
	sessions->past_lost += before.coverage.lost;
	session_free_runner(session);
	session->runner_ended = session->last_taken = false;
	session_forget_profile(session);
	session_set_why(session, "a more important session took a counter: it went on without, from the beginning");
	if (session_open_runner(session, &error) == 0) {
		session_look_on(session);
		return;
	}
	session->state = SESSION_FAILED;
	session_set_why(session, error.text);
	release_counters(session);
	session_look_on(session);
	tell_ended(session);
}

static void on_started(struct runner *runner, const struct vpmu_error *error, void *data)
{
	_cleanup_(session_unrefp) struct session *session = session_ref(data);
	bool first = session->state == SESSION_STARTING;
	struct session_events listener = session->listener;

	(void)runner;
	if (!error) {
		session->state = SESSION_RUNNING;
		session->ran |= first;
		if (first && listener.started)
			listener.started(session, NULL, session->listener_data);
		return;
	}
	if (first && listener.started)
		listener.started(NULL, error, session->listener_data);
	if (session->stopping) {
		session_finish_stop(session);
	} else if (first) {
		session_drop(session);
	} else {
		session->state = SESSION_FAILED;
		session_set_why(session, error->text);
		session->runner_ended = session->last_taken = true;
		session_closed(session);
	}
}

static void on_refused(struct runner *runner, pid_t pid, const struct vpmu_error *error, void *data)
{
	(void)runner;
	(void)pid;
	session_set_why(data, error->text);
}

static void on_full(struct runner *runner, void *data)
{
	(void)runner;
	session_make_room(data);
}

static void on_ended(struct runner *runner, const struct vpmu_error *error, void *data)
{
	struct session *session = data;

	(void)runner;
	session->runner_ended = true;
	if (error) {
		session->state = SESSION_FAILED;
		session_set_why(session, error->text);
	}
	if (session->stopping || session->is_recording) {
		session->last_taken = true;
		session_closed(session);
	} else if (session->regrant && !error) {
		session->regrant = false;
		reopen(session);
	} else {
		session_take_last(session);
	}
}

/* ---- its beginning ---- */

int session_open_runner(struct session *session, struct vpmu_error *reterr)
{
	static const struct runner_events events = {
		.started = on_started, .refused = on_refused, .full = on_full, .ended = on_ended,
	};
	struct runner_opts opts = {
		.session = &session->opts,
		.node_wide = session->node_wide,
		.whole_process = session->whole_process,
		.profile = !session->is_recording,
		.chains = session->opts.host_chains,
		.record_fd = -1,
		.cmdline = session->cmdline,
	};
	struct domains *domains = session->all->manager->domains;
	_free_ char *granted = NULL;
	uint64_t now = manager_now_ns();
	int r = session_plan_events(&session->plan, &granted);

	if (r < 0)
		return error_set(reterr, r, "a more important session took all its counters");
	opts.record_fd = take_fd(&session->record_fd);
	session->opts.events = granted;
	/* The rest of it, when this is not the first. */
	if (session->duration_ns)
		opts.duration_ns = session->end_ns > now ? session->end_ns - now : 1;
	r = runner_new(session->jobs, &opts, &events, session, &session->runner, reterr);
	session->opts.events = NULL;
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < domains_count(domains); i++) {
		const struct domain *domain = domains_get(domains, i);

		if (domain->running && session_wants(session, domain))
			r = session_add_guest(session, domain);
	}
	if (r == 0)
		r = runner_start(session->runner);
	if (r < 0) {
		session->runner = runner_free(session->runner);
		return error_errno(reterr, r, "start", "the session's thread");
	}
	return 0;
}

/* Asks the arbiter. */
int session_get_counters(struct session *session, struct session_refusal *refusal)
{
	struct arbiter_request request = {
		.priority = session->priority,
		.node_wide = session->node_wide,
		.n_events = session->plan.n,
		.events = session->plan.events,
	};
	int r = arbiter_request(session->all->manager->arbiter, &request, &session->request, session->plan.grants);

	if (r == -EBUSY) {
		refusal->plan = session->plan;
		session->plan = (struct session_plan){};
		return error_set(&refusal->error, r, "none of the events can be had: %s", refusal->plan.grants[0].why);
	}
	if (r == -ENOSPC) {
		refusal->limit = (uint32_t)arbiter_max_requests(session->all->manager->arbiter);
		return error_set(&refusal->error, -EDQUOT, "there are too many sessions");
	}
	if (r == -EINVAL)
		return error_set(&refusal->error, r, "more than %d events", ARBITER_EVENTS_MAX);
	return r < 0 ? error_oom(&refusal->error) : 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <time.h>

#include "access.h"
#include "arbiter.h"
#include "session.h"
#include "session_new.h"
#include "util/error.h"
#include "util/macro.h"

struct sessions {
	struct manager *manager;
	VEC(struct session *) list; /* in order of their start */
	int domain_listener;
	sd_event_source *regrant; /* the arbiter has changed its mind about somebody */
	uint64_t past_samples, past_lost;
};

/* ---- what became of a session ---- */

static void tell_ended(struct session *session)
{
	bool ran = session->ran;

	session->ran = false;
	if (ran && session->listener.ended)
		session->listener.ended(session, session->listener_data);
}

/* Leaves the list, gives back what it holds. Whoever still refers to it finds it without `all`. */
static void drop(struct session *session)
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

static void finish_stop(struct session *session)
{
	_cleanup_(session_unrefp) struct session *held = session_ref(session);
	void (*stopped)(struct session *session, void *data) = session->stopped;

	session->stopped = NULL;
	if (session->state == SESSION_STARTING || session->state == SESSION_RUNNING)
		session->state = SESSION_DONE;
	tell_ended(held);
	if (stopped)
		stopped(held, held->stopped_data);
	drop(held);
}

static void set_why(struct session *session, const char *why)
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
		finish_stop(session);
		return;
	}
	if (session->state != SESSION_FAILED)
		session->state = SESSION_DONE;
	session_look_on(session);
	tell_ended(session);
}

static int open_runner(struct session *session, struct vpmu_error *reterr);

/* It went on with other events than it began with. */
static void reopen(struct session *session)
{
	struct vpmu_error error;

	session_free_runner(session);
	session->runner_ended = session->last_taken = false;
	session_forget_profile(session);
	set_why(session, "a more important session took a counter: it went on without, from the beginning");
	if (open_runner(session, &error) == 0) {
		session_look_on(session);
		return;
	}
	session->state = SESSION_FAILED;
	set_why(session, error.text);
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
		finish_stop(session);
	} else if (first) {
		drop(session);
	} else {
		session->state = SESSION_FAILED;
		set_why(session, error->text);
		session->runner_ended = session->last_taken = true;
		session_closed(session);
	}
}

static void on_refused(struct runner *runner, pid_t pid, const struct vpmu_error *error, void *data)
{
	(void)runner;
	(void)pid;
	set_why(data, error->text);
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
		set_why(session, error->text);
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

/* ---- guests ---- */

static bool wants(const struct session *session, const struct domain *domain)
{
	if (session->node_wide || !access_may_see(session->all->manager->access, &session->owner, domain->name,
						  domain->uuid))
		return false;
	vec_for_each (pattern, &session->guests)
		if (domain_matches(domain, *pattern))
			return true;
	return session->guests.n == 0;
}

static struct session_guest *find_seen(const struct session *session, const struct domain *domain)
{
	vec_for_each (guest, &session->seen)
		if (guest->id == domain->id)
			return guest;
	return NULL;
}

static int note_seen(struct session *session, const struct domain *domain)
{
	struct session_guest guest = { domain->id, strdup(domain->name), strdup(domain->uuid) };

	if (guest.name && guest.uuid && vec_push(&session->seen, guest))
		return 0;
	free(guest.name);
	free(guest.uuid);
	return -ENOMEM;
}

static int add_guest(struct session *session, const struct domain *domain)
{
	int r = find_seen(session, domain) ? 0 : note_seen(session, domain);

	return r < 0 ? r : runner_add_guest(session->runner, &domain->guest);
}

static void replace(char **text, const char *with)
{
	char *copy = streq(*text, with) ? NULL : strdup(with);

	if (!copy)
		return;
	free(*text);
	*text = copy;
}

/* A guest may have got a name that some who profile it may not see. */
static void on_renamed(struct sessions *sessions, const struct domain *domain)
{
	vec_for_each (session, &sessions->list) {
		struct session_guest *guest = find_seen(*session, domain);

		if (!guest)
			continue;
		replace(&guest->name, domain->name);
		replace(&guest->uuid, domain->uuid);
	}
	sessions_reload(sessions);
}

static void on_domain(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu, void *data)
{
	struct sessions *sessions = data;

	(void)vcpu;
	if (change == DOMAIN_CHANGED)
		on_renamed(sessions, domain);
	if (change != DOMAIN_STARTED && change != DOMAIN_VCPU_APPEARED && change != DOMAIN_VCPU_GONE)
		return;
	vec_for_each (session, &sessions->list)
		if ((*session)->runner && !(*session)->runner_ended && wants(*session, domain) &&
		    add_guest(*session, domain) < 0)
			set_why(*session, "out of memory: a guest is left out");
}

/* ---- start ---- */

static int open_runner(struct session *session, struct vpmu_error *reterr)
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

		if (domain->running && wants(session, domain))
			r = add_guest(session, domain);
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
static int get_counters(struct session *session, struct session_refusal *refusal)
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

static int check_guests(struct sessions *sessions, const struct session_wishes *wishes, struct session_refusal *refusal)
{
	const struct manager *manager = sessions->manager;

	if (wishes->node_wide && wishes->n_guests) {
		refusal->subject = strdup("guests");
		return error_set(&refusal->error, -EINVAL, "whole CPUs or certain guests, not both");
	}
	if (wishes->node_wide && !access_sees_all(manager->access, wishes->owner))
		return error_set(&refusal->error, -EPERM, "only who sees all guests may profile whole CPUs");
	for (size_t i = 0; i < wishes->n_guests; i++) {
		size_t n = domains_count(manager->domains);
		bool found = strpbrk(wishes->guests[i], "*?") != NULL;

		for (size_t j = 0; j < n && !found; j++) {
			const struct domain *domain = domains_get(manager->domains, j);

			found = domain_matches(domain, wishes->guests[i]) &&
				access_may_see(manager->access, wishes->owner, domain->name, domain->uuid);
		}
		if (!found) {
			refusal->subject = strdup(wishes->guests[i]);
			error_set(&refusal->error, -ENOENT, "no guest '%s'", wishes->guests[i]);
			error_hint(&refusal->error, "ListGuests tells which there are");
			return -ENOENT;
		}
	}
	return 0;
}

static bool name_taken(const void *data, const char *name)
{
	const struct sessions *sessions = data;

	vec_for_each (session, &sessions->list)
		if (streq((*session)->name, name))
			return true;
	return false;
}

/* What ends when no guest runs begins with one that does. */
static int check_running(const struct session *session, struct session_refusal *refusal)
{
	const struct domains *domains = session->all->manager->domains;

	if (!session->ends_with_guests || session->node_wide)
		return 0;
	for (size_t i = 0; i < domains_count(domains); i++)
		if (domains_get(domains, i)->running && wants(session, domains_get(domains, i)))
			return 0;
	if (session->guests.n)
		refusal->subject = strdup(session->guests.items[0]);
	if (session->guests.n == 1)
		return error_set(&refusal->error, -ENOENT, "guest '%s' does not run", session->guests.items[0]);
	return error_set(&refusal->error, -ENOENT, "none of the guests runs");
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
		r = check_guests(sessions, wishes, refusal);
	if (r == 0)
		r = enlist(sessions, session, refusal);
	if (r < 0)
		return r;
	session->listener = *events;
	session->listener_data = data;
	r = check_running(session, refusal);
	if (r == 0)
		r = get_counters(session, refusal);
	if (r == 0)
		r = open_runner(session, &refusal->error);
	if (r < 0) {
		drop(session);
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
		finish_stop(session);
	return 0;
}

void session_end_early(struct session *session, const char *why)
{
	if (!session->all || !session->runner || session->runner_ended)
		return;
	set_why(session, why);
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
			set_why(session, "a more important session took a counter: the recording ended there");
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
			set_why(session, "its owner lost the right to it");
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

void session_active_guests(const struct session *session, void (*fn)(const struct domain *domain, void *data), void *data)
{
	const struct domains *domains = session->all->manager->domains;

	if (!session->runner || session->runner_ended)
		return;
	for (size_t i = 0; i < domains_count(domains); i++) {
		const struct domain *domain = domains_get(domains, i);

		if (domain->running && (session->node_wide || wants(session, domain)))
			fn(domain, data);
	}
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
	sessions->domain_listener = domains_listen(manager->domains, on_domain, sessions);
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
	finish_stop(session);
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

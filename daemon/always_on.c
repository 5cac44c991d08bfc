/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A runner that is cut at each minute's border. What comes out is taken apart by guest in the pool (minute.c) and put into the
 * store.
 *
 *	OFF -> STARTING -> RUNNING -> ENDING -> OFF
 *
 * The timer ticks every minute in all states: it cuts what runs and tries again what does not. What must begin anew (another
 * grant, another rate, a guest that was renamed) ends first, and `again` has it started when the end has come.
 */
#include <errno.h>
#include <time.h>

#include "always_on.h"
#include "jobs.h"
#include "minute.h"
#include "runner.h"
#include "say.h"
#include "session_plan.h"
#include "store.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

#define PRIORITY (-50)

#define MINUTE_MS INT64_C(60000)

/* Behind the border, so that a clock that is being slewed does not have us there too early. */
#define MARGIN_MS INT64_C(50)

/*
 * The kernel counts samples, and what it has counted is taken in when a minute is cut, so never because of the pace. What it does not count, all
 * of it on kernels that do not take the program, is in the rings: about 60 bytes a sample, with chains a hundred to
 * a thousand more. The session goes round them every ten seconds, and visits who is near a full ring earlier.
 */
#define PACE_MS		  90000
#define RING_BYTES	  (32u << 10)
#define RING_BYTES_CHAINS (128u << 10)

/* Where vCPUs come and go is known by events of the domains; this is for threads that nobody told of. */
#define FOLLOW_MS 30000

/* A session keeps something of each guest that it ever had, and goes through them all again and again. */
#define GONE_MAX 1024

enum state { OFF, STARTING, RUNNING, ENDING };

/* A guest that the runner was given. */
struct given {
	uint64_t id;
	pid_t pid;
	char *name;
	bool refused;
};

struct always_on {
	struct manager *manager;
	int64_t period_ms;
	uint32_t max_gone;
	int listener;
	sd_event_source *timer, *defer;

	enum state state;
	bool again; /* start when it has ended */
	struct runner *runner;
	struct session_plan plan;
	uint64_t request; /* at the arbiter, 0 = none */
	VEC(struct given) given;
	uint32_t frequency_hz;
	bool chains;

	bool cutting;
	int64_t began_ms; /* when the profile that is being filled did; Unix time */
	int64_t cut_ms;	  /* and the one that is being cut */
	struct minutes *minutes;

	uint64_t samples, lost;
	char why[sizeof(((struct vpmu_error *)0)->text)]; /* it does not run */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void set_why(struct always_on *a, const struct vpmu_error *error)
{
	if (error && !streq(a->why, error->text))
		say_error(error);
	else if (!error && a->why[0])
		say_info("the always-on session runs again");
	snprintf(a->why, sizeof(a->why), "%s", error ? error->text : "");
}

/* ---- guests ---- */

static struct given *find_given(const struct always_on *a, uint64_t id)
{
	for (size_t i = 0; i < a->given.n; i++)
		if (a->given.items[i].id == id)
			return &a->given.items[i];
	return NULL;
}

static void forget_given(struct always_on *a)
{
	vec_for_each(given, &a->given)
		free(given->name);
	a->given.n = 0;
}

/* What libvirt calls it is the name that it has in the store. */
static void give(struct always_on *a, const struct domain *domain)
{
	struct vpmu_guest_info guest = domain->guest;
	struct given given = { .id = domain->id, .pid = guest.pid };

	guest.name = domain->name;
	guest.uuid = domain->uuid;
	if (a->state != RUNNING || runner_add_guest(a->runner, &guest) < 0 || find_given(a, domain->id))
		return;
	given.name = strdup(domain->name);
	if (!given.name || !vec_push(&a->given, given))
		free(given.name);
}

static void take_away(struct always_on *a, uint64_t id)
{
	struct given *given = find_given(a, id);

	if (!given)
		return;
	free(given->name);
	*given = a->given.items[--a->given.n];
}

static void give_all(struct always_on *a)
{
	const struct domain *domain;

	for (size_t i = 0; (domain = domains_get(a->manager->domains, i)); i++)
		if (domain->running)
			give(a, domain);
}

static void begin_anew(struct always_on *a);

static void on_domain(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu, void *data)
{
	struct always_on *a = data;
	const struct given *given = find_given(a, domain->id);

	(void)vcpu;
	switch (change) {
	case DOMAIN_STARTED:
	case DOMAIN_VCPU_APPEARED:
		give(a, domain);
		break;
	case DOMAIN_STOPPED:
	case DOMAIN_GONE:
		take_away(a, domain->id);
		break;
	case DOMAIN_CHANGED:
		if (given && !streq(given->name, domain->name))
			begin_anew(a);
		break;
	case DOMAIN_APPEARED:
	case DOMAIN_VCPU_GONE:
		break;
	}
}

/* ---- the runner ---- */

static void keep(struct always_on *a, struct vpmu_profile *profile, int64_t began_ms)
{
	struct vpmu_coverage coverage;

	if (!profile)
		return;
	vpmu_profile_coverage(profile, &coverage);
	a->samples += coverage.samples;
	a->lost += coverage.lost;
	/* The margin: a profile that began a little before its minute is that minute's. */
	began_ms += MARGIN_MS;
	minutes_keep(a->minutes, profile, began_ms - began_ms % a->period_ms);
}

static void on_cut(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	struct always_on *a = data;

	a->cutting = false;
	if (error && error->code != -ENODATA)
		say_error(error);
	keep(a, profile, a->cut_ms);
}

static void on_started(struct runner *runner, const struct vpmu_error *error, void *data);
static void on_refused(struct runner *runner, pid_t pid, const struct vpmu_error *error, void *data);
static void on_ended(struct runner *runner, const struct vpmu_error *error, void *data);

static const struct runner_events runner_events = { .started = on_started, .refused = on_refused, .ended = on_ended };

static void drop_runner(struct always_on *a)
{
	a->runner = runner_free(a->runner);
	a->cutting = false;
	if (a->request)
		arbiter_release(a->manager->arbiter, a->request);
	a->request = 0;
	session_plan_deinit(&a->plan);
	forget_given(a);
	a->state = OFF;
}

static int ask_arbiter(struct always_on *a, const struct vpmu_session_opts *opts, char **ret_events,
		       struct vpmu_error *reterr)
{
	struct arbiter_request request = { .priority = PRIORITY, .takes_back = true };
	int r = session_plan_make(opts, &a->plan, reterr);

	if (r < 0)
		return r;
	request.n_events = a->plan.n;
	request.events = a->plan.events;
	r = arbiter_request(a->manager->arbiter, &request, &a->request, a->plan.grants);
	if (r == 0)
		r = session_plan_events(&a->plan, ret_events);
	if (r < 0)
		return error_set(reterr, r, "the always-on session got no event to sample");
	return 0;
}

static int start(struct always_on *a, struct vpmu_error *reterr)
{
	const struct config *config = a->manager->config;
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = config->always_on_hz, .pace_ms = PACE_MS, .follow_ms = FOLLOW_MS,
		  .guest_chains = config->always_on_chains, .host_chains = config->always_on_chains,
		  .ring_bytes = config->always_on_chains ? RING_BYTES_CHAINS : RING_BYTES, .wait_for_guests = true,
		  .aggregate = true);
	struct runner_opts runner_opts = { .session = &opts, .profile = true, .chains = opts.guest_chains, .record_fd = -1 };
	_free_ char *events = NULL;
	int r = ask_arbiter(a, &opts, &events, reterr);

	if (r < 0)
		return r;
	opts.events = events;
	a->frequency_hz = opts.frequency_hz;
	a->chains = opts.guest_chains;
	r = runner_new(a->manager->jobs, &runner_opts, &runner_events, a, &a->runner, reterr);
	if (r < 0)
		return r;
	r = runner_start(a->runner);
	if (r < 0)
		return error_errno(reterr, r, "start a thread for", "the always-on session");
	a->state = STARTING;
	a->began_ms = now_ms();
	return 0;
}

static void try_start(struct always_on *a)
{
	struct vpmu_error error = {};

	a->again = false;
	if (a->state != OFF || !a->manager->config->always_on)
		return;
	if (start(a, &error) < 0) {
		set_why(a, &error);
		drop_runner(a);
	}
}

static void on_started(struct runner *runner, const struct vpmu_error *error, void *data)
{
	struct always_on *a = data;

	(void)runner;
	set_why(a, error);
	if (error) {
		drop_runner(a);
		if (a->again)
			try_start(a);
	} else if (a->state == STARTING) {
		/* Not before: one that cannot be sampled would keep the session from all others. */
		a->state = RUNNING;
		give_all(a);
	}
}

static void on_refused(struct runner *runner, pid_t pid, const struct vpmu_error *error, void *data)
{
	struct always_on *a = data;

	(void)runner;
	vec_for_each(given, &a->given) {
		if (given->pid != pid)
			continue;
		if (!given->refused)
			say_warning("guest '%s' is not sampled: %s", given->name, error->text);
		given->refused = true;
	}
}

static void on_ended(struct runner *runner, const struct vpmu_error *error, void *data)
{
	struct always_on *a = data;

	if (error)
		set_why(a, error);
	keep(a, runner_finish(runner), a->began_ms);
	drop_runner(a);
	if (a->again)
		try_start(a);
}

static void end(struct always_on *a)
{
	if (a->state != STARTING && a->state != RUNNING)
		return;
	a->state = ENDING;
	runner_stop(a->runner);
}

static void begin_anew(struct always_on *a)
{
	a->again = true;
	end(a);
}

/* ---- the clock ---- */

/*
 * By the monotonic clock: when somebody sets the time back by a day the next tick is within a minute still.
 */
static int arm(struct always_on *a)
{
	int64_t now = now_ms(), left_ms = a->period_ms - now % a->period_ms + MARGIN_MS;
	int r = sd_event_source_set_time_relative(a->timer, (uint64_t)left_ms * 1000);

	return r < 0 ? r : sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
}

static bool is_worn_out(const struct always_on *a)
{
	struct runner_status status;

	runner_status(a->runner, &status);
	return status.n_guests >= a->given.n + a->max_gone;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *data)
{
	struct always_on *a = data;

	(void)source;
	(void)usec;
	if (a->state == RUNNING && is_worn_out(a)) {
		begin_anew(a);
	} else if (a->state == RUNNING && !a->cutting) {
		a->cutting = runner_cut(a->runner, on_cut, a) == 0;
		a->cut_ms = a->began_ms;
		a->began_ms = now_ms();
	} else if (a->state == OFF) {
		try_start(a);
	}
	(void)arm(a);
	return 0;
}

/* The arbiter must not be called from inside its own call. */
static int on_defer(sd_event_source *source, void *data)
{
	(void)source;
	begin_anew(data);
	return 0;
}

/* ---- for the manager ---- */

void always_on_grant_changed(struct always_on *a, uint64_t request, size_t event, const struct grant *grant)
{
	if (!a || request != a->request || event >= a->plan.n)
		return;
	a->plan.grants[event] = *grant;
	(void)sd_event_source_set_enabled(a->defer, SD_EVENT_ONESHOT);
}

static int add_sources(struct always_on *a)
{
	sd_event *loop = a->manager->loop;
	int r = sd_event_add_time_relative(loop, &a->timer, CLOCK_MONOTONIC, 0, 1000, on_tick, a);

	if (r < 0)
		return r;
	r = sd_event_add_defer(loop, &a->defer, on_defer, a);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(a->defer, SD_EVENT_OFF);
	return r < 0 ? r : arm(a);
}

int always_on_new(struct manager *manager, int64_t period_ms, uint32_t max_gone, struct always_on **ret_always_on,
		  struct vpmu_error *reterr)
{
	_cleanup_(always_on_freep) struct always_on *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return error_oom(reterr);
	*a = (struct always_on){ .manager = manager, .period_ms = period_ms ? period_ms : MINUTE_MS,
				 .max_gone = max_gone ? max_gone : GONE_MAX, .listener = -1 };
	a->minutes = minutes_new(manager->jobs, manager->store);
	if (!a->minutes)
		return error_oom(reterr);
	r = add_sources(a);
	if (r < 0)
		return error_errno(reterr, r, "set a timer for", "the always-on session");
	a->listener = domains_listen(manager->domains, on_domain, a);
	if (a->listener < 0)
		return error_oom(reterr);
	try_start(a);
	*ret_always_on = take_ptr(a);
	return 0;
}

struct always_on *always_on_free(struct always_on *a)
{
	if (!a)
		return NULL;
	if (a->listener >= 0)
		domains_unlisten(a->manager->domains, a->listener);
	if (a->runner)
		keep(a, runner_finish(a->runner), a->began_ms);
	drop_runner(a);
	minutes_free(a->minutes);
	sd_event_source_disable_unref(a->timer);
	sd_event_source_disable_unref(a->defer);
	vec_free(&a->given);
	free(a);
	return NULL;
}

void always_on_reload(struct always_on *a)
{
	const struct config *config = a->manager->config;

	if (!config->always_on) {
		a->again = false;
		end(a);
	} else if (a->state == OFF) {
		try_start(a);
	} else if (a->state == ENDING || a->frequency_hz != config->always_on_hz || a->chains != config->always_on_chains) {
		begin_anew(a);
	}
}

bool always_on_samples(const struct always_on *a, const struct domain *domain)
{
	const struct given *given = a && a->state == RUNNING && domain->running ? find_given(a, domain->id) : NULL;

	return given && !given->refused;
}

void always_on_stats(const struct always_on *a, struct always_on_stats *ret_stats)
{
	*ret_stats = (struct always_on_stats){ .samples = a->samples, .lost = a->lost };
	if (!a->manager->config->always_on)
		ret_stats->why = "it is switched off in vpmud.conf";
	else if (a->why[0])
		ret_stats->why = a->why;
}

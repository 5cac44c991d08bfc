/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Top: a session of the call's own, looked at each interval; what it has seen by then is shown and forgotten. It is among
 * the sessions like any other, counts as one of its user's, and ends with the call; the call ends with the guests.
 */
#include <errno.h>
#include <json-c/json.h>

#include "client/shapes.h"
#include "jobs.h"
#include "methods.h"
#include "profile_reply.h"
#include "session.h"
#include "session_json.h"
#include "util/error.h"
#include "util/macro.h"

#define INTERVAL_MS_MIN	    200
#define INTERVAL_MS_MAX	    60000
#define INTERVAL_MS_DEFAULT 1000
#define LIMIT_DEFAULT	    100
/* 0 would be sd-event's own, a quarter of a second. */
#define ACCURACY_US 1000

/* A client with so much to read gets no more for now. */
#define QUEUED_MAX (1u << 20)

struct top {
	unsigned int refs; /* the call's, and that of what is under way */
	struct manager *manager;
	struct call *call;
	struct session *session;
	sd_event_source *timer;
	uint64_t interval_us;
	struct profile_reply_opts opts;
	char *sort;
	bool busy; /* a look or a job is under way */
	bool last; /* the guests are gone: the next look is the last */
	bool final; /* the one that is under way is */
	bool over;

	/* The job's. */
	struct vpmu_profile *profile;
	struct json_object *reply;
	struct vpmu_error error;
};

static struct top *top_unref(struct top *top)
{
	if (!top || --top->refs > 0)
		return NULL;
	call_unref(top->call);
	session_unref(top->session);
	sd_event_source_disable_unref(top->timer);
	vpmu_profile_free(top->profile);
	json_object_put(top->reply);
	free(top->sort);
	free(top);
	return NULL;
}
DEFINE_CLEANUP(struct top *, top_unref)

/* The call has been answered for the last time, or its client is gone. */
static void end(struct top *top)
{
	if (top->over)
		return;
	top->over = true;
	call_on_gone(top->call, NULL, NULL);
	top->timer = sd_event_source_disable_unref(top->timer);
	if (top->session) {
		session_forget_events(top->session);
		(void)sessions_stop(top->session, NULL, NULL);
	}
	top_unref(top);
}

static void fail(struct top *top, const struct vpmu_error *error)
{
	call_fail_with(top->call, error, error->code == -EINVAL ? "sort" : NULL);
	end(top);
}

static void send(struct top *top, struct json_object *reply)
{
	if (call_wants_more(top->call) && !top->final) {
		if (call_reply_more(top->call, reply) < 0)
			end(top);
		else if (top->last) /* this was looked for before: what came behind it is still to be told */
			sd_event_source_set_time_relative(top->timer, 0);
	} else {
		call_reply(top->call, reply);
		end(top);
	}
}

/* ---- an interval ---- */

static void work(void *data)
{
	struct top *top = data;

	if (profile_reply_report(top->profile, &top->opts, &top->reply, &top->error) == 0)
		top->error = (struct vpmu_error){};
	top->profile = vpmu_profile_free(top->profile);
}

static void end_of_work(void *data, bool cancelled)
{
	_cleanup_(top_unrefp) struct top *top = data;

	top->busy = false;
	top->profile = vpmu_profile_free(top->profile);
	if (top->over || cancelled)
		return;
	if (top->error.code)
		fail(top, &top->error);
	else
		send(top, take_ptr(top->reply));
}

/* Nothing was sampled: guests that sleep, or none. */
static void send_nothing(struct top *top)
{
	struct json_object *reply = json_new_object();
	struct vpmu_coverage coverage = {};
	struct session_info info;

	session_info(top->session, &info);
	snprintf(coverage.source, sizeof(coverage.source), "%s", info.source);
	json_put(reply, "coverage", shape_coverage(&coverage));
	json_put(reply, "rows", json_new_array());
	send(top, reply);
}

static void on_look(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	_cleanup_(top_unrefp) struct top *top = data;

	if (top->over) {
		vpmu_profile_free(profile);
		return;
	}
	top->busy = false;
	if (!profile && error->code == -ENODATA)
		return send_nothing(top);
	if (!profile)
		return fail(top, error);
	session_forget_profile(top->session);
	top->profile = profile;
	top->busy = jobs_run(top->manager->jobs, work, end_of_work, top) == 0;
	if (top->busy)
		top->refs++;
	else
		top->profile = vpmu_profile_free(top->profile); /* the pool is full: this interval is left out */
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	struct top *top = data;

	(void)usec;
	if (!session_is_there(top->session)) {
		struct vpmu_error error;

		error_set(&error, -ENODATA, "the session was stopped");
		fail(top, &error);
		return 0;
	}
	if (!top->busy && call_queued_bytes(top->call) < QUEUED_MAX && session_look(top->session, on_look, top) == 0) {
		top->busy = true;
		top->final = top->last;
		top->refs++;
	}
	sd_event_source_set_time_relative(source, top->interval_us);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- the session ---- */

static void on_started(struct session *session, const struct vpmu_error *error, void *data)
{
	struct top *top = data;
	struct vpmu_error timer_error;
	int r;

	if (!session)
		return fail(top, error);
	r = sd_event_add_time_relative(top->manager->loop, &top->timer, CLOCK_MONOTONIC, top->interval_us, ACCURACY_US, on_timer,
				       top);
	if (r < 0) {
		error_errno(&timer_error, r, "set", "a timer");
		fail(top, &timer_error);
	}
}

static void on_ended(struct session *session, void *data)
{
	struct top *top = data;
	struct session_info info;
	struct vpmu_error error;

	session_info(session, &info);
	if (info.state == SESSION_DONE && session_is_there(session)) {
		/* What they did last is still to be told. */
		top->last = true;
		sd_event_source_set_time_relative(top->timer, 0);
		return;
	}
	error_set(&error, -ENODATA, "%s", info.why ? info.why : "the session was stopped");
	fail(top, &error);
}

static const struct session_events session_events = { .started = on_started, .ended = on_ended };

static void on_gone(struct call *call, void *data)
{
	(void)call;
	end(data);
}

/* ---- the call ---- */

static struct top *top_new(struct call *call, struct manager *manager)
{
	const char *sort = call_string(call, "sort");
	struct top *top = calloc(1, sizeof(*top));

	if (!top)
		return NULL;
	top->refs = 1;
	top->manager = manager;
	top->call = call_ref(call);
	top->sort = strdup(sort ? sort : "side,dso,symbol");
	top->opts.report = (struct vpmu_report_opts){ .sz = sizeof(top->opts.report), .sort = top->sort };
	if (!top->sort)
		return top_unref(top);
	return top;
}

/* 1; 0 if the call has been answered. */
static int parse(struct call *call, struct top *top)
{
	int64_t interval_ms = call_int(call, "interval_ms", INTERVAL_MS_DEFAULT), limit = call_int(call, "limit", LIMIT_DEFAULT);

	if (interval_ms < INTERVAL_MS_MIN || interval_ms > INTERVAL_MS_MAX)
		return call_bad_value(call, "interval_ms", "is between %d and %d", INTERVAL_MS_MIN, INTERVAL_MS_MAX), 0;
	if (limit < 0 || limit > UINT32_MAX)
		return call_bad_value(call, "limit", "a number of rows, or 0 for all"), 0;
	top->interval_us = (uint64_t)interval_ms * 1000;
	top->opts.report.limit = (size_t)limit;
	return 1;
}

int method_top(struct call *call, struct manager *manager)
{
	_cleanup_(top_unrefp) struct top *top = top_new(call, manager);
	_free_ const char **guests = NULL;
	struct session_refusal refusal;
	struct session_wishes wishes;
	struct session *session;
	int r;

	if (!top)
		return -ENOMEM;
	r = parse(call, top);
	if (r > 0)
		r = session_wishes_take(call, &wishes, &guests);
	if (r <= 0)
		return r;
	wishes.connection = call_connection(call);
	wishes.ends_with_guests = true;
	r = sessions_start(manager->sessions, &wishes, &session_events, top, &session, &refusal);
	if (r < 0) {
		r = session_refuse(call, &wishes, &refusal);
	} else {
		top->session = session_ref(session);
		call_on_gone(call, on_gone, top);
		top = NULL; /* end()'s */
	}
	session_refusal_deinit(&refusal);
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Record is in recordings.c. */
#include <errno.h>
#include <json-c/json.h>

#include "client/json.h"
#include "count_streams.h"
#include "methods.h"
#include "session_json.h"
#include "util/macro.h"

/* A call that waits for its session, to start or to end. */
struct waiting {
	struct call *call;
	struct manager *manager;
	struct session *session; /* of StartSession, until it has started */
};

static struct waiting *waiting_new(struct call *call, struct manager *manager)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	if (!waiting)
		return NULL;
	waiting->call = call_ref(call);
	waiting->manager = manager;
	return waiting;
}

static struct waiting *waiting_free(struct waiting *waiting)
{
	if (!waiting)
		return NULL;
	call_on_gone(waiting->call, NULL, NULL);
	call_unref(waiting->call);
	session_unref(waiting->session);
	free(waiting);
	return NULL;
}
DEFINE_CLEANUP(struct waiting *, waiting_free)

static int reply_session(struct waiting *waiting, const struct session *session)
{
	struct json_object *reply = json_new_object();

	json_put(reply, "session", session_json(session, waiting->manager, call_peer(waiting->call)));
	return call_reply(waiting->call, reply);
}

/* ---- StartSession ---- */

static void on_started(struct session *session, const struct vpmu_error *error, void *data)
{
	_cleanup_(waiting_freep) struct waiting *waiting = data;

	session_forget_events(waiting->session);
	if (session)
		(void)reply_session(waiting, session);
	else
		(void)call_fail_with(waiting->call, error, NULL);
}

/* The session itself ends with the connection, unless it is lasting. */
static void on_caller_gone(struct call *call, void *data)
{
	struct waiting *waiting = data;

	(void)call;
	session_forget_events(waiting->session);
	waiting_free(waiting);
}

int method_start_session(struct call *call, struct manager *manager)
{
	static const struct session_events events = { .started = on_started };
	_cleanup_(waiting_freep) struct waiting *waiting = waiting_new(call, manager);
	_free_ const char **guests = NULL;
	struct session_wishes wishes;
	struct session_refusal refusal;
	struct session *session;
	int64_t priority;
	int r;

	if (!waiting)
		return -ENOMEM;
	r = session_wishes_take(call, &wishes, &guests);
	if (r <= 0)
		return r;
	priority = call_int(call, "priority", 0);
	wishes.priority = (int)MAX(-1000, MIN(1000, priority)); /* what is no priority stays none */
	wishes.name = call_string(call, "name");
	wishes.node_wide = call_bool(call, "node_wide");
	wishes.connection = call_bool(call, "lasting") ? 0 : call_connection(call);
	r = sessions_start(manager->sessions, &wishes, &events, waiting, &session, &refusal);
	if (r < 0) {
		r = session_refuse(call, &wishes, &refusal);
	} else {
		waiting->session = session_ref(session);
		call_on_gone(call, on_caller_gone, waiting);
		waiting = NULL; /* on_started()'s or on_caller_gone()'s */
	}
	session_refusal_deinit(&refusal);
	return r;
}

/* ---- StopSession ---- */

static void on_stopped(struct session *session, void *data)
{
	_cleanup_(waiting_freep) struct waiting *waiting = data;

	(void)reply_session(waiting, session);
}

int method_stop_session(struct call *call, struct manager *manager)
{
	const char *name = call_string(call, "name");
	struct session *session = sessions_find(manager->sessions, call_peer(call), name);
	struct json_object *parameters;
	struct waiting *waiting;
	int r;

	if (!session) {
		parameters = json_new_object();
		json_put_string(parameters, "name", name);
		return call_fail(call, "SessionNotFound", parameters);
	}
	waiting = waiting_new(call, manager);
	if (!waiting)
		return -ENOMEM;
	/* Replies to a client that went meanwhile go nowhere; on_stopped() comes in any case. */
	r = sessions_stop(session, on_stopped, waiting);
	if (r < 0)
		waiting_free(waiting);
	return r;
}

/* ---- ListSessions ---- */

int method_list_sessions(struct call *call, struct manager *manager)
{
	struct json_object *reply = json_new_object(), *list = json_new_array();
	const struct session *session;

	for (size_t i = 0; (session = sessions_get(manager->sessions, i)); i++)
		if (session_may_see(session, call_peer(call)))
			json_append(list, session_json(session, manager, call_peer(call)));
	json_put(reply, "sessions", list);
	json_put(reply, "streams", count_streams_json(manager->count_streams, call_peer(call)));
	return call_reply(call, reply);
}

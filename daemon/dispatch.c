/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "access.h"
#include "call_private.h"
#include "client/varlink.h"
#include "dispatch.h"
#include "introspection.h"
#include "manager.h"
#include "userdb.h"
#include "util/error.h"

/* No parameter of ours is deeper than a few; what a filter of 10000 guests takes. */
#define MAX_DEPTH  32
#define MAX_VALUES 20000

/* A message, its parts told apart; they belong to it. */
struct request {
	struct json_object *message;
	const char *method;
	struct json_object *parameters;
	struct call_wishes wishes;
	bool upgrade;
};

static bool take_flag(struct json_object *message, const char *name, bool *ret_flag)
{
	struct json_object *value = json_object_object_get(message, name);

	if (value && !json_object_is_type(value, json_type_boolean))
		return false;
	*ret_flag = json_object_get_boolean(value);
	return true;
}

/* Is it a call at all? Members that varlink does not know are ignored: it may learn some. */
static bool read_request(struct json_object *message, struct request *request)
{
	struct json_object *method = json_object_object_get(message, "method");

	request->parameters = json_object_object_get(message, "parameters");
	if (!json_object_is_type(method, json_type_string))
		return false;
	if (request->parameters && !json_object_is_type(request->parameters, json_type_object))
		return false;
	request->method = json_object_get_string(method);
	return take_flag(message, "more", &request->wishes.more) && take_flag(message, "oneway", &request->wishes.oneway) &&
	       take_flag(message, "upgrade", &request->upgrade) && !(request->wishes.more && request->wishes.oneway);
}

static int refuse_rights(struct call *call, enum right right, bool may_look)
{
	struct vpmu_error error;
	char user[64];

	user_describe(call_peer(call)->uid, user, sizeof(user));
	error_set(&error, -EACCES,
		  may_look ? "user %s may look, but neither start sessions nor record" : "user %s may not ask vpmud", user);
	error_hint(&error, "vpmud.conf says who may: '%s' in [access]", right == RIGHT_READ ? "readers" : "operators");
	return call_fail_with(call, &error, NULL);
}

static int charge_stream(struct call *call, struct access *access)
{
	struct json_object *parameters;
	uint32_t limit = 0;
	int r = access_charge(access, call_peer(call)->uid, CHARGE_STREAM, &limit);

	if (r == 0) {
		call_set_streaming(call);
		return 0;
	}
	parameters = json_new_object();
	json_put_string(parameters, "what", "subscriptions");
	json_put_int(parameters, "limit", limit);
	call_fail(call, "LimitReached", parameters);
	return r;
}

static void run_method(struct call *call, const char *name, struct server *server)
{
	struct manager *manager = server_manager(server);
	const struct method *method = method_find(name);
	enum right right = method ? method->right : RIGHT_READ;
	struct vpmu_error error;
	char full_name[128];
	int r;

	if (!access_may(manager->access, call_peer(call), right)) {
		refuse_rights(call, right, access_may(manager->access, call_peer(call), RIGHT_READ));
		return;
	}
	if (!method) {
		snprintf(full_name, sizeof(full_name), "org.vpmu.%s", name);
		call_fail_service(call, "MethodNotImplemented", "method", full_name);
		return;
	}
	if (method->only_more && !call_wants_more(call)) {
		call_fail_service(call, "ExpectedMore", NULL, NULL);
		return;
	}
	if (method->streams && charge_stream(call, manager->access) < 0)
		return;
	r = method->run(call, manager);
	if (call_ended(call) || call_is_kept(call))
		return;
	error_errno(&error, r < 0 ? r : -ENODATA, "answer", name);
	call_fail_with(call, &error, NULL);
}

/* The interface's part of "org.vpmu.ListGuests" is up to the last dot. */
static void run_call(struct call *call, const struct request *request, struct server *server)
{
	const struct interface *known[] = { server_interface(server), server_service(server) }, *interface = NULL;
	const char *dot = strrchr(request->method, '.');
	size_t n = dot ? (size_t)(dot - request->method) : strlen(request->method);
	char where[INTERFACE_WHERE_BYTES], wanted[256];
	struct vpmu_error why;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (dot && strlen(interface_name(known[i])) == n && memcmp(interface_name(known[i]), request->method, n) == 0)
			interface = known[i];
	if (!interface) {
		snprintf(wanted, sizeof(wanted), "%.*s", (int)MIN(n, sizeof(wanted) - 1), request->method);
		call_fail_service(call, "InterfaceNotFound", "interface", wanted);
	} else if (!interface_has(interface, INTERFACE_CALL, dot + 1)) {
		call_fail_service(call, "MethodNotFound", "method", request->method);
	} else if (request->upgrade) {
		/* To another protocol on this connection; there is none. */
		call_fail_service(call, "InvalidParameter", "parameter", "upgrade");
	} else if (interface_check(interface, INTERFACE_CALL, dot + 1, call_parameters(call), where, &why) < 0) {
		call_fail_service(call, "InvalidParameter", "parameter", where);
	} else if (interface == server_service(server)) {
		introspection_run(call, dot + 1, server);
	} else {
		run_method(call, dot + 1, server);
	}
}

DEFINE_CLEANUP(struct json_object *, json_object_put)

void dispatch(struct connection *connection, const char *text, size_t n)
{
	struct server *server = connection_server(connection);
	const struct varlink_limits limits = { .max_bytes = server_manager(server)->config->max_request_bytes,
					       .max_depth = MAX_DEPTH, .max_values = MAX_VALUES };
	_cleanup_(json_object_putp) struct json_object *message = NULL;
	_cleanup_(call_unrefp) struct call *call = NULL;
	struct request request = {};
	struct vpmu_error why;

	if (varlink_parse(text, n, &limits, &message, &why) < 0) {
		connection_break(connection, why.text);
		return;
	}
	if (!read_request(message, &request)) {
		connection_break(connection, "a message is no varlink call");
		return;
	}
	if (call_new(connection, request.method, json_object_get(request.parameters), &request.wishes, &call) < 0) {
		connection_break(connection, "out of memory");
		return;
	}
	server_counts(server)->calls++;
	run_call(call, &request, server);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "access.h"
#include "call_private.h"
#include "client/varlink.h"
#include "manager.h"
#include "say.h"
#include "util/error.h"

#define MAX_REPLY_BYTES (16 << 20)

struct call {
	unsigned int refs;
	struct connection *connection; /* NULL: ended, or the client is gone */
	uint64_t connection_id;
	struct peer peer; /* its groups are the connection's */
	char *method;
	struct json_object *parameters;
	struct call_wishes wishes;
	bool streaming;
	struct access *access;
	void (*on_gone)(struct call *call, void *data);
	void *on_gone_data;
};

/* ---- life ---- */

int call_new(struct connection *connection, const char *method, struct json_object *parameters,
	     const struct call_wishes *wishes, struct call **ret_call)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!parameters)
		parameters = json_object_new_object();
	if (call)
		call->method = strdup(method);
	if (!call || !call->method || !parameters) {
		if (call)
			free(call->method);
		free(call);
		json_object_put(parameters);
		return -ENOMEM;
	}
	call->refs = 1;
	call->connection = connection;
	call->connection_id = connection_id(connection);
	call->peer = *connection_peer(connection);
	call->parameters = parameters;
	call->wishes = *wishes;
	call->access = server_manager(connection_server(connection))->access;
	connection_call_begins(connection, call);
	*ret_call = call;
	return 0;
}

struct call *call_ref(struct call *call)
{
	call->refs++;
	return call;
}

static void give_back_charge(struct call *call)
{
	if (call->streaming)
		access_discharge(call->access, call->peer.uid, CHARGE_STREAM);
	call->streaming = false;
}

struct call *call_unref(struct call *call)
{
	if (!call || --call->refs > 0)
		return NULL;
	give_back_charge(call);
	json_object_put(call->parameters);
	free(call->method);
	free(call);
	return NULL;
}

void call_set_streaming(struct call *call)
{
	call->streaming = true;
}

bool call_ended(const struct call *call)
{
	return !call->connection;
}

bool call_is_kept(const struct call *call)
{
	return call->refs > 2;
}

static void end(struct call *call)
{
	call->connection = NULL;
	call->on_gone = NULL;
	/* The groups go with the connection. */
	call->peer.groups = NULL;
	call->peer.n_groups = 0;
}

void call_gone(struct call *call)
{
	void (*on_gone)(struct call *, void *) = call->on_gone;

	end(call);
	if (on_gone)
		on_gone(call, call->on_gone_data);
}

void call_on_gone(struct call *call, void (*fn)(struct call *call, void *data), void *data)
{
	call->on_gone = call->connection ? fn : NULL;
	call->on_gone_data = data;
}

/* ---- what it is ---- */

const char *call_method(const struct call *call)
{
	return strrchr(call->method, '.') + 1;
}

struct json_object *call_parameters(const struct call *call)
{
	return call->parameters;
}

bool call_wants_more(const struct call *call)
{
	return call->wishes.more;
}

const struct peer *call_peer(const struct call *call)
{
	return &call->peer;
}

uint64_t call_connection(const struct call *call)
{
	return call->connection_id;
}

size_t call_queued_bytes(const struct call *call)
{
	return call->connection ? connection_queued_bytes(call->connection) : 0;
}

static struct json_object *parameter(const struct call *call, const char *name)
{
	return json_object_object_get(call->parameters, name);
}

const char *call_string(const struct call *call, const char *name)
{
	return json_object_get_string(parameter(call, name));
}

int64_t call_int(const struct call *call, const char *name, int64_t otherwise)
{
	struct json_object *value = parameter(call, name);

	return value ? json_object_get_int64(value) : otherwise;
}

bool call_bool(const struct call *call, const char *name)
{
	return json_object_get_boolean(parameter(call, name));
}

double call_float(const struct call *call, const char *name, double otherwise)
{
	struct json_object *value = parameter(call, name);

	return value ? json_object_get_double(value) : otherwise;
}

int call_strings(const struct call *call, const char *name, const char ***ret_strings, size_t *ret_n)
{
	struct json_object *list = parameter(call, name);
	size_t n = list ? json_object_array_length(list) : 0;
	const char **strings = NULL;

	if (n > 0) {
		strings = calloc(n, sizeof(*strings));
		if (!strings)
			return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		strings[i] = json_object_get_string(json_object_array_get_idx(list, i));
	*ret_strings = strings;
	*ret_n = n;
	return 0;
}

/* ---- answers ---- */

/* {error, parameters, continues} as it goes over the wire. @parameters are taken. */
static void write_answer(struct strbuf *text, const char *error, struct json_object *parameters, bool continues)
{
	struct json_object *message = json_new_object();

	if (error)
		json_put_string(message, "error", error);
	json_put(message, "parameters", parameters ? parameters : json_new_object());
	if (continues)
		json_put_bool(message, "continues", true);
	varlink_write(text, message);
	json_object_put(message);
}

/* An answer that cannot be given becomes this one. */
static void write_failure(struct strbuf *text, int code, const char *why, const char *hint)
{
	struct json_object *parameters = json_new_object();

	strbuf_clear(text);
	json_put_int(parameters, "code", code);
	json_put_string(parameters, "text", why);
	json_put_string(parameters, "hint", hint);
	write_answer(text, "org.vpmu.Failed", parameters, false);
}

/* For tests: is it what the interface promises? */
static int check_answer(const struct call *call, const char *error, struct json_object *parameters, struct vpmu_error *reterr)
{
	const struct server *server = connection_server(call->connection);
	const char *full_name = error ? error : call->method, *member = strrchr(full_name, '.') + 1;
	const struct interface *interface = starts_with(full_name, "org.varlink.service.") ? server_service(server) :
											     server_interface(server);
	char where[INTERFACE_WHERE_BYTES];

	if (!server_checks_replies(server))
		return 0;
	return interface_check(interface, error ? INTERFACE_ERROR : INTERFACE_REPLY, member, parameters, where, reterr);
}

/*
 * Ends the call unless @continues. All that is given is taken. Returns an error if it was to continue and could not: then an error
 * was the answer, behind which nobody listens.
 */
static int answer(struct call *call, const char *error, struct json_object *parameters, bool continues, int fd)
{
	_close_ int owned_fd = fd;
	_strbuf_ struct strbuf text = {};
	struct connection *connection = call->connection;
	struct vpmu_error wrong;
	int r;

	if (!connection) {
		json_object_put(parameters);
		return 0;
	}
	r = check_answer(call, error, parameters, &wrong);
	write_answer(&text, error, parameters, continues);
	if (r < 0) {
		say_warning("%s: an answer that the interface does not allow: %s", call->method, wrong.text);
		write_failure(&text, EPROTO, wrong.text, "");
	} else if (text.n > MAX_REPLY_BYTES) {
		r = -EMSGSIZE;
		write_failure(&text, EMSGSIZE, "the answer is longer than 16 MiB", "ask for less: a limit, fewer guests");
	}
	if (!call->wishes.oneway)
		connection_send(connection, &text, take_fd(&owned_fd));
	if (error || r < 0)
		server_counts(connection_server(connection))->calls_failed++;
	if (!continues || r < 0) {
		end(call);
		give_back_charge(call);
		connection_call_ended(connection);
	}
	return continues ? r : 0;
}

int call_fail_as(struct call *call, const char *error, struct json_object *parameters)
{
	return answer(call, error, parameters, false, -1);
}

int call_fail_service(struct call *call, const char *error, const char *key, const char *value)
{
	struct json_object *parameters = json_new_object();
	char name[128];

	snprintf(name, sizeof(name), "org.varlink.service.%s", error);
	if (key)
		json_put_string(parameters, key, value);
	return call_fail_as(call, name, parameters);
}

int call_reply(struct call *call, struct json_object *parameters)
{
	return answer(call, NULL, parameters, false, -1);
}

int call_reply_more(struct call *call, struct json_object *parameters)
{
	return answer(call, NULL, parameters, true, -1);
}

int call_reply_file(struct call *call, struct json_object *parameters, int fd)
{
	return answer(call, NULL, parameters, false, fd);
}

int call_fail(struct call *call, const char *error, struct json_object *parameters)
{
	char name[128];

	snprintf(name, sizeof(name), "org.vpmu.%s", error);
	return call_fail_as(call, name, parameters);
}

int call_bad_value(struct call *call, const char *name, const char *format, ...)
{
	struct json_object *parameters = json_new_object();
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_put_string(parameters, "parameter", name);
	json_put_string(parameters, "text", text);
	json_put_string(parameters, "hint", "");
	return call_fail(call, "BadValue", parameters);
}

int call_fail_with(struct call *call, const struct vpmu_error *error, const char *subject)
{
	struct json_object *parameters = json_new_object();
	const char *name;

	switch (error->code) {
	case -ENOENT:
		name = "GuestNotFound";
		json_put_string(parameters, "guest", subject ? subject : "");
		break;
	case -EPERM:
	case -EACCES:
		name = "PermissionDenied";
		break;
	case -EOPNOTSUPP:
		name = "NotAvailable";
		break;
	case -ENODATA:
		name = "NoData";
		break;
	case -EINVAL:
		name = "BadValue";
		json_put_string(parameters, "parameter", subject ? subject : "");
		break;
	default:
		name = "Failed";
		json_put_int(parameters, "code", -error->code);
	}
	json_put_string(parameters, "text", error->text);
	json_put_string(parameters, "hint", error->hint);
	return call_fail(call, name, parameters);
}

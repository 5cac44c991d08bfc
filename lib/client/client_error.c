/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>

#include "client/client_error.h"
#include "util/error.h"
#include "util/strbuf.h"

static const char *string_of(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

/* What vpmud says of it, and what to try; @otherwise if it says nothing. */
static int with_text(int code, struct json_object *parameters, const char *otherwise, struct vpmu_error *reterr)
{
	const char *text = string_of(parameters, "text"), *hint = string_of(parameters, "hint");

	error_set(reterr, code, "%s", *text ? text : otherwise);
	if (*hint)
		error_hint(reterr, "%s", hint);
	return code;
}

/* "cycles (no counter is free), instructions (…)": the events of a session that the arbiter refused. */
static int refused(struct json_object *parameters, struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf text = {};
	struct json_object *events = NULL;

	if (!json_object_object_get_ex(parameters, "events", &events) ||
	    !json_object_is_type(events, json_type_array))
		return error_set(reterr, -EBUSY, "vpmud has no counters left for that");
	for (size_t i = 0; i < json_object_array_length(events) && text.n < 400; i++) {
		struct json_object *grant = json_object_array_get_idx(events, i);
		const char *why = string_of(grant, "why");

		strbuf_addf(&text, "%s%s", i ? ", " : "", string_of(grant, "event"));
		if (*why)
			strbuf_addf(&text, " (%s)", why);
	}
	return error_set(reterr, -EBUSY, "vpmud refuses %s", text.n ? text.text : "the session");
}

static int limit_reached(struct json_object *parameters, struct vpmu_error *reterr)
{
	struct json_object *limit = NULL;
	const char *what = string_of(parameters, "what");

	json_object_object_get_ex(parameters, "limit", &limit);
	error_set(reterr, -EDQUOT, "vpmud's limit is reached: %s, %lld at most", *what ? what : "calls",
		  (long long)json_object_get_int64(limit));
	error_hint(reterr, "vpmud.conf sets the limits");
	return -EDQUOT;
}

/* Errors of org.varlink.service, which every varlink server has. */
static int of_varlink(const char *name, struct json_object *parameters, const char *method,
		      struct vpmu_error *reterr)
{
	if (streq(name, "InvalidParameter"))
		return error_set(reterr, -EINVAL, "%s: vpmud does not take the parameter '%s'", method,
				 string_of(parameters, "parameter"));
	if (streq(name, "ExpectedMore"))
		return error_set(reterr, -EINVAL, "%s has more than one reply", method);
	if (streq(name, "PermissionDenied"))
		return with_text(-EACCES, parameters, "vpmud does not allow that", reterr);
	if (streq(name, "MethodNotFound") || streq(name, "MethodNotImplemented") ||
	    streq(name, "InterfaceNotFound"))
		return error_set(reterr, -ENOSYS, "this vpmud has no method %s", method);
	return error_set(reterr, -EREMOTEIO, "%s: %s", method, name);
}

static int of_vpmud(const char *name, struct json_object *parameters, const char *method,
		    struct vpmu_error *reterr)
{
	if (streq(name, "GuestNotFound"))
		return with_text(-ENOENT, parameters, "no such guest", reterr);
	if (streq(name, "PermissionDenied"))
		return with_text(-EACCES, parameters, "vpmud does not allow that", reterr);
	if (streq(name, "SessionNotFound"))
		return error_set(reterr, -ENOENT, "no session '%s'", string_of(parameters, "name"));
	if (streq(name, "SessionExists"))
		return error_set(reterr, -EEXIST, "there is a session '%s' already", string_of(parameters, "name"));
	if (streq(name, "Refused"))
		return refused(parameters, reterr);
	if (streq(name, "LimitReached"))
		return limit_reached(parameters, reterr);
	if (streq(name, "NotAvailable"))
		return with_text(-EOPNOTSUPP, parameters, "this machine cannot do that", reterr);
	if (streq(name, "NoData"))
		return with_text(-ENODATA, parameters, "there are no samples", reterr);
	if (streq(name, "BadValue"))
		return with_text(-EINVAL, parameters, string_of(parameters, "parameter"), reterr);
	if (streq(name, "Failed"))
		return with_text(-EREMOTEIO, parameters, "vpmud failed, and does not say why", reterr);
	return error_set(reterr, -EREMOTEIO, "%s: %s", method, name);
}

int client_error(const char *name, struct json_object *parameters, const char *method, struct vpmu_error *reterr)
{
	if (starts_with(name, "org.vpmu."))
		return of_vpmud(name + sizeof("org.vpmu.") - 1, parameters, method, reterr);
	if (starts_with(name, "org.varlink.service."))
		return of_varlink(name + sizeof("org.varlink.service.") - 1, parameters, method, reterr);
	return error_set(reterr, -EREMOTEIO, "%s: %s", method, name);
}

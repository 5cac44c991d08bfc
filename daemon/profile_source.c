/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>

#include "access.h"
#include "domains.h"
#include "guest_select.h"
#include "pattern.h"
#include "profile_source.h"
#include "sessions.h"
#include "store.h"
#include "util/error.h"
#include "util/macro.h"

void profile_source_deinit(struct profile_source *source)
{
	free(source->session);
	vec_for_each(pattern, &source->patterns)
		free(*pattern);
	vec_free(&source->patterns);
	*source = (struct profile_source){};
}

/* ---- parsing ---- */

static struct json_object *field(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, name, &value);
	return value;
}

/* 1, or 0 when the call has been answered. */
static int parse_guests(struct call *call, const char *name, struct json_object *guests, struct profile_source *source)
{
	size_t n = guests ? json_object_array_length(guests) : 0;

	if (n > GUEST_PATTERNS_MAX) {
		call_bad_value(call, name, "more than %d guests are named", GUEST_PATTERNS_MAX);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(guests, i);
		char *copy;

		if (json_object_get_string_len(item) > GUEST_PATTERN_BYTES_MAX) {
			call_bad_value(call, name, "a name longer than %d bytes", GUEST_PATTERN_BYTES_MAX);
			return 0;
		}
		copy = strdup(json_object_get_string(item));
		if (!copy || !vec_push(&source->patterns, copy)) {
			free(copy);
			return -ENOMEM;
		}
	}
	return 1;
}

static int parse_side(struct call *call, const char *name, const char *side, struct profile_source *source)
{
	if (!side || streq(side, "both"))
		source->sides = 0;
	else if (streq(side, "guest"))
		source->sides = VPMU_SIDES_GUEST;
	else if (streq(side, "host"))
		source->sides = VPMU_SIDES_HOST;
	else
		return call_bad_value(call, name, "a side is guest, host or both, not '%s'", side), 0;
	return 1;
}

static int parse_times(struct call *call, const char *name, struct json_object *since, struct json_object *until,
		       struct profile_source *source)
{
	source->since_ms = since ? json_object_get_int64(since) : 0;
	source->until_ms = until ? json_object_get_int64(until) : INT64_MAX;
	if (source->session && (since || until))
		return call_bad_value(call, name, "a session has no periods: since_ms and until_ms are of the store"), 0;
	if (source->since_ms < 0 || source->until_ms <= source->since_ms)
		return call_bad_value(call, name, "until_ms is not behind since_ms"), 0;
	return 1;
}

static int parse(struct call *call, const char *name, struct profile_source *source)
{
	struct json_object *object = field(call_parameters(call), name), *session = field(object, "session");
	int r;

	if (session) {
		source->session = strdup(json_object_get_string(session));
		if (!source->session)
			return -ENOMEM;
	}
	r = parse_guests(call, name, field(object, "guests"), source);
	if (r > 0)
		r = parse_side(call, name, json_object_get_string(field(object, "side")), source);
	if (r > 0)
		r = parse_times(call, name, field(object, "since_ms"), field(object, "until_ms"), source);
	return r;
}

int profile_source_parse(struct call *call, const char *name, struct profile_source *ret_source)
{
	struct profile_source source = {};
	int r = parse(call, name, &source);

	if (r > 0)
		*ret_source = source;
	else
		profile_source_deinit(&source);
	return r;
}

/* ---- whom a pattern means ---- */

/* What has no name is called after its process, and nothing else tells who it was once the process is gone. */
static bool means(const char *pattern, const char *name, const char *uuid)
{
	return pattern_means(pattern, name, uuid, 0) || (!uuid[0] && streq(pattern, name));
}

/* Profiles know no processes: "pid:N" becomes what its guest is called. */
static int name_processes(struct profile_source *source, const struct call *call, const struct manager *manager)
{
	vec_for_each(pattern, &source->patterns) {
		const struct domain *domain;

		for (size_t i = 0; starts_with(*pattern, "pid:") && (domain = domains_get(manager->domains, i)); i++) {
			const char *const one = *pattern;
			char *name;

			if (!guest_selected(domain, manager->access, call_peer(call), &one, 1))
				continue;
			name = strdup(domain->uuid[0] ? domain->uuid : domain->name);
			if (!name)
				return -ENOMEM;
			free(*pattern);
			*pattern = name;
			break;
		}
	}
	return 0;
}

/* ---- from a session ---- */

static int get_from_session(const struct profile_source *source, struct call *call, struct manager *manager,
			    profile_source_fn fn, void *data)
{
	struct session *session = manager->sessions ?
		sessions_find(manager->sessions, call_peer(call), source->session) : NULL;
	int r;

	if (!session) {
		struct json_object *parameters = json_new_object();

		json_put_string(parameters, "name", source->session);
		call_fail(call, "SessionNotFound", parameters);
		return 0;
	}
	r = session_look(session, fn, data);
	if (r == -EINVAL) {
		struct vpmu_error error;

		error_set(&error, -ENODATA, "session '%s' is a recording: it keeps no profile", source->session);
		call_fail_with(call, &error, NULL);
		return 0;
	}
	return r < 0 ? r : 1;
}

/* ---- from the store ---- */

typedef VEC(struct store_guest) store_guests;

static bool is_a_domain(const char *pattern, const struct call *call, const struct manager *manager)
{
	const struct domain *domain;

	for (size_t i = 0; (domain = domains_get(manager->domains, i)); i++)
		if (guest_selected(domain, manager->access, call_peer(call), &pattern, 1))
			return true;
	return false;
}

/* 1; 0 if there is none, and the call has been answered. */
static int choose_stored(const struct profile_source *source, struct call *call, struct manager *manager,
			 store_guests *ret_guests)
{
	struct vpmu_error error;
	struct store_guest guest;
	size_t n = MAX(source->patterns.n, 1u);

	for (size_t p = 0; p < n; p++) {
		const char *pattern = source->patterns.n ? source->patterns.items[p] : "*";
		bool known = streq(pattern, "*");

		for (size_t i = 0; store_guest(manager->store, i, &guest); i++) {
			if (!means(pattern, guest.name, guest.uuid) ||
			    !access_may_see(manager->access, call_peer(call), guest.name, guest.uuid))
				continue;
			known = true;
			if (!vec_push(ret_guests, guest))
				return -ENOMEM;
		}
		if (!known && !is_a_domain(pattern, call, manager)) {
			error_set(&error, -ENOENT, "no guest '%s', neither now nor in the store", pattern);
			error_hint(&error, "ListGuests tells which there are");
			call_fail_with(call, &error, pattern);
			return 0;
		}
	}
	if (ret_guests->n)
		return 1;
	error_set(&error, -ENODATA, "nothing has been kept of these guests yet");
	error_hint(&error, "what the always-on session sees is kept at the end of each minute");
	call_fail_with(call, &error, NULL);
	return 0;
}

static int get_from_store(struct profile_source *source, struct call *call, struct manager *manager,
			  profile_source_fn fn, void *data)
{
	struct store_query query = { .since_ms = source->since_ms, .until_ms = source->until_ms,
				     .ret_kept = &source->kept };
	store_guests guests = {};
	struct vpmu_error error;
	int r;

	if (!manager->store) {
		error_set(&error, -EOPNOTSUPP, "this vpmud keeps no profiles: there is no path in [store] of its configuration");
		call_fail_with(call, &error, NULL);
		return 0;
	}
	r = choose_stored(source, call, manager, &guests);
	query.guests = guests.items;
	query.n_guests = guests.n;
	/* Counts of all guests together would be more than the samples of one, and are not for everybody. */
	query.rest = !source->patterns.n && access_sees_all(manager->access, call_peer(call));
	if (r > 0) {
		r = store_get(manager->store, &query, fn, data);
		r = r < 0 ? r : 1;
	}
	vec_free(&guests);
	return r;
}

int profile_source_get(struct profile_source *source, struct call *call, struct manager *manager, profile_source_fn fn,
		       void *data)
{
	if (name_processes(source, call, manager) < 0)
		return -ENOMEM;
	if (source->session)
		return get_from_session(source, call, manager, fn, data);
	return get_from_store(source, call, manager, fn, data);
}

void profile_source_cancel(const struct manager *manager, const void *data)
{
	if (manager->store)
		store_cancel(manager->store, data);
}

/* ---- which of its guests ---- */

int profile_source_choose(const struct profile_source *source, const struct vpmu_profile *profile, uint32_t **ret_guests,
			  size_t *ret_n, const char **ret_subject, struct vpmu_error *reterr)
{
	VEC(uint32_t) chosen = {};
	const char *name, *uuid;

	if (!source->session || !source->patterns.n) { /* the store gave what was asked for, and nothing else */
		*ret_guests = NULL;
		*ret_n = 0;
		return 0;
	}
	for (uint32_t i = 0; vpmu_profile_guest(profile, i, &name, &uuid); i++) {
		bool meant = false;

		vec_for_each(pattern, &source->patterns)
			meant |= means(*pattern, name, uuid);
		if (meant && !vec_push(&chosen, i)) {
			vec_free(&chosen);
			return error_oom(reterr);
		}
	}
	if (!chosen.n) {
		*ret_subject = source->patterns.items[0];
		return error_set(reterr, -ENOENT, "session '%s' has no samples of guest '%s'", source->session,
				 source->patterns.items[0]);
	}
	*ret_guests = chosen.items;
	*ret_n = chosen.n;
	return 0;
}

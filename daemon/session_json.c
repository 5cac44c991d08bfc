/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>

#include "access.h"
#include "client/json.h"
#include "domains.h"
#include "guest_select.h"
#include "session_json.h"
#include "util/macro.h"

#define DURATION_MAX_MS (366 * 86400 * INT64_C(1000))

/* ---- out ---- */

static struct json_object *grants_json(const struct session_plan *plan)
{
	struct json_object *list = json_new_array();

	for (size_t i = 0; i < plan->n; i++) {
		struct json_object *grant = json_new_object();

		json_put_string(grant, "event", plan->events[i].name);
		json_put_string(grant, "status", grant_status_name(plan->grants[i].status));
		json_put_string(grant, "why", plan->grants[i].why);
		json_append(list, grant);
	}
	return list;
}

static const char *sides_name(unsigned int sides)
{
	if (sides == VPMU_SIDES_GUEST)
		return "guest";
	return sides == VPMU_SIDES_HOST ? "host" : "both";
}

struct seen_by {
	struct json_object *list;
	const struct access *access;
	const struct peer *peer;
};

static void add_active(const struct domain *domain, void *data)
{
	const struct seen_by *seen = data;

	if (access_may_see(seen->access, seen->peer, domain->name, domain->uuid))
		json_append_string(seen->list, domain->name);
}

struct json_object *session_json(const struct session *session, const struct manager *manager, const struct peer *peer)
{
	struct json_object *object = json_new_object(), *guests = json_new_array();
	struct seen_by active = { json_new_array(), manager->access, peer };
	struct session_info info;

	session_info(session, &info);
	for (size_t i = 0; i < info.n_guests; i++)
		json_append_string(guests, info.guests[i]);
	session_active_guests(session, add_active, &active);
	json_put_string(object, "name", info.name);
	json_put_int(object, "owner_uid", info.owner_uid);
	if (!info.lasting)
		json_put_int(object, "owner_pid", info.owner_pid);
	json_put_bool(object, "lasting", info.lasting);
	json_put_bool(object, "recording", info.is_recording);
	json_put(object, "guests", guests);
	json_put(object, "active_guests", active.list);
	json_put_bool(object, "node_wide", info.node_wide);
	json_put_string(object, "state", session_state_name(info.state));
	json_put_string(object, "why", info.why);
	json_put_string(object, "source", info.source);
	json_put(object, "events", grants_json(info.plan));
	if (info.frequency_hz)
		json_put_int(object, "frequency_hz", info.frequency_hz);
	else
		json_put_big(object, "period", info.period);
	json_put_string(object, "sides", sides_name(info.sides));
	json_put_bool(object, "chains", info.chains);
	json_put_int(object, "priority", info.priority);
	json_put_int(object, "started_ms", info.started_ms);
	if (info.remaining_ms >= 0)
		json_put_int(object, "remaining_ms", info.remaining_ms);
	json_put_big(object, "samples", info.status.coverage.samples);
	json_put_big(object, "lost", info.status.coverage.lost);
	return object;
}

/* ---- in ---- */

/* Returns 1; 0 if the call was answered. */
static int take_sides(struct call *call, unsigned int *ret_sides)
{
	const char *side = call_string(call, "side");

	if (!side || streq(side, "both"))
		*ret_sides = VPMU_SIDES_ALL & ~(1u << VPMU_SIDE_UNKNOWN);
	else if (streq(side, "guest"))
		*ret_sides = VPMU_SIDES_GUEST;
	else if (streq(side, "host"))
		*ret_sides = VPMU_SIDES_HOST;
	else
		return (void)call_bad_value(call, "side", "'%s' is no side: guest, host or both", side), 0;
	return 1;
}

static int take_period(struct call *call, uint64_t *ret_period)
{
	const char *text = call_string(call, "period");
	char *end;

	*ret_period = 0;
	if (!text)
		return 1;
	errno = 0;
	*ret_period = *text >= '1' && *text <= '9' ? strtoull(text, &end, 10) : 0;
	if (!*ret_period || errno || *end)
		return (void)call_bad_value(call, "period", "'%s' is no number of events", text), 0;
	return 1;
}

/* From 1 to @high; *ret is 0 if it was not given. */
static int take_number(struct call *call, const char *name, int64_t high, int64_t *ret)
{
	int64_t value = call_int(call, name, INT64_MIN);

	*ret = value == INT64_MIN ? 0 : value;
	if (value == INT64_MIN || (value >= 1 && value <= high))
		return 1;
	(void)call_bad_value(call, name, "%" PRId64 " is not from 1 to %" PRId64, value, high);
	return 0;
}

int session_wishes_take(struct call *call, struct session_wishes *ret_wishes, const char ***ret_guests)
{
	struct session_wishes wishes = {
		.owner = call_peer(call),
		.events = call_string(call, "events"),
		.chains = call_bool(call, "chains"),
		.record_fd = -1,
	};
	_free_ const char **guests = NULL;
	int64_t hz, duration_ms;
	int r = guest_patterns(call, "guests", &guests, &wishes.n_guests);

	if (r > 0)
		r = take_sides(call, &wishes.sides);
	if (r > 0)
		r = take_period(call, &wishes.period);
	if (r > 0)
		r = take_number(call, "frequency_hz", 1000000, &hz);
	if (r > 0)
		r = take_number(call, "duration_ms", DURATION_MAX_MS, &duration_ms);
	if (r <= 0)
		return r;
	wishes.frequency_hz = (uint32_t)hz;
	wishes.duration_ns = (uint64_t)duration_ms * 1000000;
	wishes.guests = *ret_guests = take_ptr(guests);
	*ret_wishes = wishes;
	return 1;
}

/* ---- errors ---- */

static int refuse_with(struct call *call, const char *error, const char *key, const char *value)
{
	struct json_object *parameters = json_new_object();

	json_put_string(parameters, key, value);
	return call_fail(call, error, parameters);
}

int session_refuse(struct call *call, const struct session_wishes *wishes, const struct session_refusal *refusal)
{
	struct json_object *parameters;

	switch (refusal->error.code) {
	case -EEXIST:
		return refuse_with(call, "SessionExists", "name", wishes->name);
	case -EDQUOT:
		parameters = json_new_object();
		json_put_string(parameters, "what", "sessions");
		json_put_int(parameters, "limit", refusal->limit);
		return call_fail(call, "LimitReached", parameters);
	case -EBUSY:
		parameters = json_new_object();
		json_put(parameters, "events", grants_json(&refusal->plan));
		return call_fail(call, "Refused", parameters);
	default:
		return call_fail_with(call, &refusal->error, refusal->subject);
	}
}

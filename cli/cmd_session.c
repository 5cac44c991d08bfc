/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu session: profiles that vpmud takes while nobody waits for them. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "command.h"
#include "json.h"
#include "json_read.h"
#include "output.h"
#include "remote.h"
#include "sides.h"
#include "table.h"
#include "text.h"

struct start_args {
	struct side_args side;
	const char *name, *events;
	uint64_t frequency_hz, period, duration_ns;
	bool chains, all_cpus;
	int priority;
};

struct session_args {
	struct common_args common;
	const char *socket;
	struct start_args start;
};

#define FIELD(name) offsetof(struct session_args, name)
#define PRIORITY_MAX 100

static int set_priority(const struct option_spec *spec, const char *value, void *field, struct vpmu_error *reterr)
{
	char *end;
	long n = strtol(value, &end, 10);

	(void)spec;
	if (!*value || *end || n < -PRIORITY_MAX || n > PRIORITY_MAX)
		return error_set(reterr, -EINVAL, "needs a number from -%d to %d, not '%s'", PRIORITY_MAX, PRIORITY_MAX,
				 value);
	*(int *)field = (int)n;
	return 0;
}

static const struct option_spec start_options[] = {
	{ .name = "name", .arg = "NAME", .set = option_string, .offset = FIELD(start.name),
	  .help = "start: what to call the session (default: vpmud makes a name up)" },
	{ .letter = 'e', .name = "event", .arg = "EVENT", .set = option_string, .offset = FIELD(start.events),
	  .help = "start: what to sample, with commas between (default: the best source that vpmud finds)" },
	{ .letter = 'F', .name = "frequency", .arg = "HZ", .set = option_u64, .min = 1, .max = 1000000,
	  .offset = FIELD(start.frequency_hz), .help = "start: samples a second of each thread (default: vpmud's)" },
	{ .letter = 'c', .name = "period", .arg = "COUNT", .set = option_u64, .min = 1, .max = INT64_MAX,
	  .offset = FIELD(start.period), .alternative = true,
	  .help = "start: a sample every COUNT events (nanoseconds for clocks)" },
	{ .letter = 'g', .name = "chains", .set = option_flag, .max = 1, .offset = FIELD(start.chains),
	  .help = "start: record call chains" },
	{ .letter = 'd', .name = "duration", .arg = "TIME", .set = option_duration_ns,
	  .offset = FIELD(start.duration_ns), .help = "start: sample for TIME (default: until 'vpmu session stop')" },
	{ .letter = 'a', .name = "all-cpus", .set = option_flag, .max = 1, .offset = FIELD(start.all_cpus),
	  .help = "start: everything that runs on the host's CPUs" },
	{ .name = "priority", .arg = "N", .set = set_priority, .offset = FIELD(start.priority),
	  .help = "start: who has a higher one gets the node's counters first, -100 to 100 (default 0)" },
	{},
};

static const struct option_spec socket_options[] = {
	{ .name = "socket", .arg = "PATH", .set = option_string, .offset = FIELD(socket),
	  .help = "where vpmud listens (default /run/vpmud/org.vpmu)" },
	{},
};

/* ---- what a session is, in words ---- */

static void join(struct json_object *session, const char *key, struct strbuf *out)
{
	size_t n = json_length(session, key);

	for (size_t i = 0; i < n && i < 8; i++)
		strbuf_addf(out, "%s%s", i ? "," : "", i == 7 ? "..." : json_item_string(session, key, i));
}

static void add_time(struct json_object *session, struct strbuf *out)
{
	int64_t seconds = json_get_int(session, "remaining_ms", 0) / 1000;

	if (!json_has(session, "remaining_ms"))
		strbuf_addc(out, '-');
	else if (seconds < 120)
		strbuf_addf(out, "%" PRId64 " s", seconds);
	else
		strbuf_addf(out, "%" PRId64 " min", seconds / 60);
}

static void add_row(struct table *table, struct json_object *session)
{
	_strbuf_ struct strbuf asked = {}, time = {};

	join(session, "guests", &asked);
	add_time(session, &time);
	table_cell(table, TINT_NONE, json_get_string(session, "name"));
	table_cell(table, streq(json_get_string(session, "state"), "failed") ? TINT_BAD : TINT_NONE,
		   json_get_string(session, "state"));
	table_cellf(table, TINT_NONE, "%lld", (long long)json_get_int(session, "owner_uid", 0));
	table_cellf(table, TINT_NONE, "%zu", json_length(session, "active_guests"));
	table_cell_u64(table, TINT_NONE, json_get_big(session, "samples"));
	table_cell_u64(table, TINT_NONE, json_get_big(session, "lost"));
	table_cell(table, TINT_NONE, time.text ? time.text : "");
	table_cell(table, TINT_NONE, json_get_string(session, "source"));
	table_cell(table, TINT_NONE, json_get_bool(session, "node_wide") ? "(whole node)" : asked.n ? asked.text : "*");
}

static void print_table(struct json_object *reply)
{
	static const struct {
		const char *title;
		enum table_fit fit;
	} columns[] = {
		{ "NAME", TABLE_LEFT },	   { "STATE", TABLE_LEFT }, { "UID", TABLE_RIGHT },   { "GUESTS", TABLE_RIGHT },
		{ "SAMPLES", TABLE_RIGHT }, { "LOST", TABLE_RIGHT }, { "LEFT", TABLE_RIGHT }, { "SOURCE", TABLE_LEFT },
		{ "OF", TABLE_CUT_TAIL },
	};
	_table_ struct table table = {};
	_strbuf_ struct strbuf out = {};

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		table_column(&table, columns[i].title, columns[i].fit);
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			table_print_head(&table, &out);
		for (size_t i = 0; i < json_length(reply, "sessions"); i++) {
			add_row(&table, json_item(reply, "sessions", i));
			if (pass)
				table_print_row(&table, &out);
			else
				table_measure_row(&table);
		}
	}
	output_write(&out);
}

static void add_stream(struct table *table, struct json_object *stream)
{
	_strbuf_ struct strbuf asked = {}, what = {};

	join(stream, "guests", &asked);
	join(stream, "by", &what);
	if (json_has(stream, "events"))
		strbuf_adds(&what, json_get_string(stream, "events"));
	table_cell(table, TINT_NONE, json_get_string(stream, "kind"));
	table_cellf(table, TINT_NONE, "%lld", (long long)json_get_int(stream, "owner_uid", 0));
	table_cellf(table, TINT_NONE, "%zu", json_length(stream, "active_guests"));
	table_cellf(table, TINT_NONE, "%lld", (long long)json_get_int(stream, "calls", 0));
	table_cellf(table, TINT_NONE, "%lld ms", (long long)json_get_int(stream, "interval_ms", 0));
	table_cell(table, TINT_NONE, what.n ? what.text : "-");
	table_cell(table, TINT_NONE, asked.n ? asked.text : "*");
}

/* What stat, exits and time are told just now: no sessions, but what else costs the guests something. */
static void print_streams(struct json_object *reply, bool behind_sessions)
{
	static const struct {
		const char *title;
		enum table_fit fit;
	} columns[] = {
		{ "STREAM", TABLE_LEFT },    { "UID", TABLE_RIGHT },	{ "GUESTS", TABLE_RIGHT }, { "CALLS", TABLE_RIGHT },
		{ "INTERVAL", TABLE_RIGHT }, { "WHAT", TABLE_CUT_TAIL }, { "OF", TABLE_CUT_TAIL },
	};
	_table_ struct table table = {};
	_strbuf_ struct strbuf out = {};

	if (behind_sessions)
		strbuf_addc(&out, '\n');
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		table_column(&table, columns[i].title, columns[i].fit);
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			table_print_head(&table, &out);
		for (size_t i = 0; i < json_length(reply, "streams"); i++) {
			add_stream(&table, json_item(reply, "streams", i));
			if (pass)
				table_print_row(&table, &out);
			else
				table_measure_row(&table);
		}
	}
	output_write(&out);
}

/* Events that the session did not get as they were asked for. */
static void say_grants(struct json_object *session)
{
	for (size_t i = 0; i < json_length(session, "events"); i++) {
		struct json_object *grant = json_item(session, "events", i);

		if (!streq(json_get_string(grant, "status"), "granted"))
			say_warning("%s is %s: %s", json_get_string(grant, "event"), json_get_string(grant, "status"),
				    json_get_string(grant, "why"));
	}
}

/* ---- verbs ---- */

static enum status list_sessions(const struct session_args *args, struct vpmu_client *client)
{
	_reply_ struct json_object *reply = NULL;
	struct vpmu_error error = {};
	struct json_list list;
	struct json_object *streams;
	size_t n, n_streams;

	if (remote_call(client, "ListSessions", NULL, &reply, &error) < 0)
		return say_error(&error);
	n = json_length(reply, "sessions");
	n_streams = json_length(reply, "streams");
	if (args->common.json) {
		json_list_begin(&list, NULL, "sessions");
		for (size_t i = 0; i < n; i++)
			json_list_item(&list, json_object_get(json_item(reply, "sessions", i)));
		streams = json_new_array();
		for (size_t i = 0; i < n_streams; i++)
			json_append(streams, json_object_get(json_item(reply, "streams", i)));
		json_list_end_with(&list, "streams", streams);
		return STATUS_DONE;
	}
	if (n)
		print_table(reply);
	if (n_streams)
		print_streams(reply, n > 0);
	if (!n)
		say("no sessions that this user may see");
	return STATUS_DONE;
}

static struct json_object *parameters_of(const struct start_args *args, const struct name_list *guests)
{
	struct json_object *parameters = json_new_object();

	if (args->name)
		json_put_string(parameters, "name", args->name);
	json_put(parameters, "guests", remote_names(guests));
	json_put_bool(parameters, "node_wide", args->all_cpus);
	if (args->events)
		json_put_string(parameters, "events", args->events);
	if (args->frequency_hz)
		json_put_int(parameters, "frequency_hz", (int64_t)args->frequency_hz);
	if (args->period)
		json_put_big(parameters, "period", args->period);
	json_put_string(parameters, "side", remote_side(args->side.sides));
	json_put_bool(parameters, "chains", args->chains);
	json_put_bool(parameters, "lasting", true); /* this process ends at once */
	if (args->duration_ns)
		json_put_int(parameters, "duration_ms", (int64_t)((args->duration_ns + 999999) / 1000000));
	json_put_int(parameters, "priority", args->priority);
	return parameters;
}

static enum status start_session(const struct session_args *args, const struct name_list *guests,
				 struct vpmu_client *client)
{
	_reply_ struct json_object *reply = NULL;
	_strbuf_ struct strbuf names = {};
	struct vpmu_error error = {};
	struct json_object *session;

	if (remote_call(client, "StartSession", parameters_of(&args->start, guests), &reply, &error) < 0)
		return say_error(&error);
	session = json_member(reply, "session");
	if (args->common.json) {
		json_print(json_object_get(session));
		return STATUS_DONE;
	}
	join(session, "active_guests", &names);
	say("started %s: %s%s%s", json_get_string(session, "name"), json_get_string(session, "source"),
	    names.n ? ", of " : "", names.n ? names.text : "");
	say_grants(session);
	return STATUS_DONE;
}

static enum status stop_sessions(const struct session_args *args, const struct name_list *names,
				 struct vpmu_client *client)
{
	enum status status = STATUS_DONE;

	for (size_t i = 0; i < names->n; i++) {
		struct json_object *parameters = json_new_object(), *session;
		_reply_ struct json_object *reply = NULL;
		struct vpmu_error error = {};

		json_put_string(parameters, "name", names->items[i]);
		if (remote_call(client, "StopSession", parameters, &reply, &error) < 0) {
			status = say_error(&error);
			continue;
		}
		session = json_member(reply, "session");
		if (args->common.json)
			json_print(json_object_get(session));
		else
			say("stopped %s: %" PRIu64 " sample%s, %" PRIu64 " lost", names->items[i],
			    json_get_big(session, "samples"), text_s(json_get_big(session, "samples")),
			    json_get_big(session, "lost"));
	}
	return status;
}

static enum status run_session(const void *opaque, const struct name_list *operands)
{
	const struct session_args *args = opaque;
	const char *verb = operands->n ? operands->items[0] : "list";
	VPMU_OPTS(vpmu_client_opts, opts, .socket = args->socket);
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	struct name_list rest = { .n = operands->n ? operands->n - 1 : 0 };
	struct vpmu_error error = {};

	for (size_t i = 0; i < rest.n; i++)
		rest.items[i] = operands->items[i + 1];
	if (!streq(verb, "list") && !streq(verb, "start") && !streq(verb, "stop"))
		return say_usage("list, start or stop, not '%s'", verb);
	if (streq(verb, "list") && rest.n)
		return say_usage("list does not take '%s'", rest.items[0]);
	if (streq(verb, "stop") && !rest.n)
		return say_usage("stop which session? 'vpmu session list' names them");
	if (streq(verb, "start") && !rest.n && !args->start.all_cpus)
		return say_usage("start it on which guests? Patterns are taken: '*' are all; -a is the whole node");
	if (args->start.frequency_hz && args->start.period)
		return say_usage("-F and -c exclude each other");
	if (vpmu_client_new(&opts, &client, &error) < 0)
		return say_error(&error);
	if (streq(verb, "start"))
		return start_session(args, &rest, client);
	return streq(verb, "stop") ? stop_sessions(args, &rest, client) : list_sessions(args, client);
}

const struct command command_session = {
	.name = "session",
	.summary = "start, stop and list profiles that vpmud takes in the background",
	.operands = "[list | start [GUEST...] | stop NAME...]",
	.groups = (const struct option_group[]){
		{ start_options, 0 },
		{ side_options, FIELD(start.side) },
		{ socket_options, 0 },
		{ common_options, 0 },
		{},
	},
	.args_bytes = sizeof(struct session_args),
	.run = run_session,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counters, Exits, Time and Metrics. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "access.h"
#include "accounts.h"
#include "client/meter_shapes.h"
#include "count_streams.h"
#include "counting.h"
#include "domains.h"
#include "guest_select.h"
#include "methods.h"
#include "metrics.h"
#include "util/error.h"
#include "util/macro.h"

#define INTERVAL_MS_MIN 100
#define INTERVAL_MS_MAX 3600000

/* ---- Counters ---- */

/* What can be said before anything is opened: each pattern means a guest that runs and that the caller may see. */
static int check_guest(struct call *call, struct manager *manager, const char *pattern, enum stream_what what)
{
	const struct domain *domain, *idle = NULL, *emulated = NULL;
	struct vpmu_error error;

	for (size_t i = 0; (domain = domains_get(manager->domains, i)); i++) {
		if (!domain_matches(domain, pattern) ||
		    !access_may_see(manager->access, call_peer(call), domain->name, domain->uuid))
			continue;
		if (!domain->running)
			idle = domain;
		else if (what == STREAM_EXITS && domain->guest.accel == VPMU_ACCEL_TCG)
			emulated = domain;
		else
			return 0;
	}
	if (emulated)
		error_set(&error, -EOPNOTSUPP, "guest '%s' is emulated (TCG): it has no VM exits", emulated->name);
	else if (idle)
		error_set(&error, -ENOENT, "guest '%s' does not run (%s)", idle->name, idle->state);
	else
		error_set(&error, -ENOENT, "there is no guest '%s'", pattern);
	(void)call_fail_with(call, &error, pattern);
	return error.code;
}

static int check_any(struct call *call, struct manager *manager)
{
	const struct domain *domain;
	struct vpmu_error error;

	for (size_t i = 0; (domain = domains_get(manager->domains, i)); i++)
		if (domain->running &&
		    access_may_see(manager->access, call_peer(call), domain->name, domain->uuid))
			return 0;
	error_set(&error, -ENOENT, "no guest runs here");
	(void)call_fail_with(call, &error, "*");
	return -ENOENT;
}

/* Guests and intervals, which all of these have; then the call is answered. */
static int start_stream(struct call *call, struct manager *manager, struct count_request *request)
{
	int64_t interval_ms = call_int(call, "interval_ms", 1000), intervals = call_int(call, "intervals", INT64_MAX);
	_free_ const char **guests = NULL;
	int r;

	if (interval_ms < INTERVAL_MS_MIN || interval_ms > INTERVAL_MS_MAX)
		return call_bad_value(call, "interval_ms", "vpmud's intervals are %d to %d milliseconds, not %" PRId64,
				      INTERVAL_MS_MIN, INTERVAL_MS_MAX, interval_ms);
	if (intervals < 1)
		return call_bad_value(call, "intervals", "at least one interval");
	r = guest_patterns(call, "guests", &guests, &request->n_guests);
	if (r <= 0)
		return r;
	for (size_t i = 0; i < request->n_guests; i++)
		if (check_guest(call, manager, guests[i], request->what) < 0)
			return 0;
	if (!request->n_guests && check_any(call, manager) < 0)
		return 0;
	request->guests = guests;
	request->interval_ms = (uint32_t)interval_ms;
	request->intervals = call_wants_more(call) ? (uint64_t)intervals : 1;
	return count_streams_add(manager->count_streams, call, request);
}

int method_counters(struct call *call, struct manager *manager)
{
	struct count_request request = { .what = STREAM_COUNTERS, .events = call_string(call, "events") };

	return start_stream(call, manager, &request);
}

/* ---- Exits, Time ---- */

int method_exits(struct call *call, struct manager *manager)
{
	struct count_request request = { .what = STREAM_EXITS };
	_free_ const char **by = NULL;
	size_t n = 0;
	int r = call_strings(call, "by", &by, &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		unsigned int keys = shape_keys(by[i]);

		if (!keys)
			return call_bad_value(call, "by",
					      "'%s' is none of reason, msr, port, mmio, cpuid, hypercall, fault, vector, symbol, user, nested",
					      by[i]);
		request.keys |= keys;
	}
	/* Of guests of guests, what they cost is told by all of their exits. */
	if (!request.keys || request.keys & SHAPE_NESTED_KEYS)
		request.keys |= 1u << VPMU_EXIT_REASON;
	return start_stream(call, manager, &request);
}

int method_time(struct call *call, struct manager *manager)
{
	struct count_request request = { .what = STREAM_TIME };

	return start_stream(call, manager, &request);
}

/* ---- Metrics ---- */

struct question {
	struct call *call;
	struct manager *manager;
	enum exposition_dialect dialect;
};

static void answer_metrics(bool cancelled, void *data)
{
	struct question *question = data;
	_strbuf_ struct strbuf text = {};
	struct json_object *reply;

	if (!cancelled) {
		if (metrics_make(question->manager->metrics, call_peer(question->call), question->dialect, &text) < 0)
			text.failed = true;
		reply = json_new_object();
		json_put_string(reply, "text", text.failed ? NULL : text.text);
		(void)call_reply(question->call, reply);
	}
	call_unref(question->call);
	free(question);
}

static void ask_accounts(bool cancelled, void *data)
{
	struct question *question = data;

	/* What was read before is better than no answer. */
	if (cancelled || accounts_ask(question->manager->accounts, answer_metrics, question) < 0)
		answer_metrics(cancelled, question);
}

int method_metrics(struct call *call, struct manager *manager)
{
	const char *format = call_string(call, "format");
	struct question *question;
	int r;

	if (format && !streq(format, "openmetrics") && !streq(format, "prometheus"))
		return call_bad_value(call, "format", "'%s' is neither openmetrics nor prometheus", format);
	question = calloc(1, sizeof(*question));
	if (!question)
		return -ENOMEM;
	question->manager = manager;
	question->call = call_ref(call);
	question->dialect =
		format && streq(format, "prometheus") ? EXPOSITION_PROMETHEUS : EXPOSITION_OPENMETRICS;
	r = counting_ask(manager->counting, ask_accounts, question);
	if (r < 0) {
		call_unref(question->call);
		free(question);
	}
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The requests stand in a line, the most important first, among equals the oldest. Every time that something changes, the counters
 * are handed out anew from the first to the last; whoever gets something else than before hears of it. There is no other
 * state than the line and what each event was told, so nothing can drift: no counter is lost, none given twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter.h"
#include "util/macro.h"
#include "util/vec.h"

static const char no_pmu[] = "this machine has no hardware counters";
static const char mediated[] = "KVM's mediated vPMU is on: a hardware event that includes guests would keep them from starting";
static const char none_left[] = "all hardware counters are taken by sessions that are as important or more";
static const char shares[] = "more events than counters: it counts part of the time";

struct event {
	struct arbiter_event asked;
	struct grant told, next;
};

struct request {
	uint64_t id;
	int priority;
	bool takes_back;
	size_t n;
	struct event *events;
};

struct arbiter {
	struct arbiter_node node;
	arbiter_changed_fn fn;
	void *data;
	uint64_t last_id;
	VEC(struct request *) line;
	uint32_t n_used;
};

const char *grant_status_name(enum grant_status status)
{
	static const char *const names[] = {
		[GRANT_GRANTED] = "granted",
		[GRANT_MULTIPLEXED] = "multiplexed",
		[GRANT_REPLACED] = "replaced",
		[GRANT_REFUSED] = "refused",
	};

	return status < ARRAY_SIZE(names) ? names[status] : "refused";
}

/* ---- life ---- */

static struct request *request_free(struct request *request)
{
	if (!request)
		return NULL;
	free(request->events);
	free(request);
	return NULL;
}
DEFINE_CLEANUP(struct request *, request_free)

int arbiter_new(const struct arbiter_node *node, arbiter_changed_fn fn, void *data, struct arbiter **ret_arbiter)
{
	struct arbiter *arbiter = calloc(1, sizeof(*arbiter));

	if (!arbiter)
		return -ENOMEM;
	arbiter->node = *node;
	arbiter->fn = fn;
	arbiter->data = data;
	*ret_arbiter = arbiter;
	return 0;
}

struct arbiter *arbiter_free(struct arbiter *arbiter)
{
	if (!arbiter)
		return NULL;
	vec_for_each (request, &arbiter->line)
		request_free(*request);
	vec_free(&arbiter->line);
	free(arbiter);
	return NULL;
}

/* ---- handing out ---- */

/* What has been handed out so far, from the first in the line on. */
struct handed_out {
	uint32_t general;
	unsigned int fixed;
	uint32_t counting; /* of the general ones: those that can be shared */
};

static struct grant without(const struct arbiter_event *event, const char *why)
{
	bool replaced = event->sampling && event->replaceable;

	return (struct grant){ replaced ? GRANT_REPLACED : GRANT_REFUSED, why };
}

static struct grant hand_out(const struct arbiter_node *node, const struct arbiter_event *event, struct handed_out *out)
{
	if (event->class != EVENT_HARDWARE)
		return (struct grant){ .status = GRANT_GRANTED };
	if (node->n_counters == 0 && !node->fixed)
		return without(event, no_pmu);
	if (node->mediated && event->guest)
		return without(event, mediated);
	if (event->fixed & node->fixed & ~out->fixed) {
		out->fixed |= event->fixed;
		return (struct grant){ .status = GRANT_GRANTED };
	}
	if (out->general < node->n_counters) {
		out->general++;
		out->counting += !event->sampling;
		return (struct grant){ .status = GRANT_GRANTED };
	}
	if (!event->sampling && out->counting)
		return (struct grant){ GRANT_MULTIPLEXED, shares };
	return without(event, none_left);
}

/* It has been told so, and goes on without. */
static bool is_final(const struct request *request, const struct event *event)
{
	return !request->takes_back && request->id &&
	       (event->told.status == GRANT_REFUSED || event->told.status == GRANT_REPLACED);
}

/* @replaced: not NULL = why the default source is not to be had. Returns why it is not, now. */
static const char *plan_request(const struct arbiter_node *node, struct request *request, const char *replaced,
				struct handed_out *out)
{
	const char *why = NULL;

	for (size_t i = 0; i < request->n; i++) {
		struct event *event = &request->events[i];

		if (is_final(request, event))
			event->next = event->told;
		else if (replaced && event->asked.sampling && event->asked.replaceable)
			event->next = without(&event->asked, replaced);
		else
			event->next = hand_out(node, &event->asked, out);
		if (event->next.status == GRANT_REPLACED)
			why = event->next.why;
	}
	return why;
}

/* Everybody's next grants. Returns the number of general counters in use. */
static uint32_t plan(const struct arbiter *arbiter)
{
	struct handed_out out = {};

	vec_for_each (item, &arbiter->line) {
		struct handed_out before = out;
		const char *replaced = plan_request(&arbiter->node, *item, NULL, &out);

		/* One side by cycles and the other by the clock would be two profiles in one. */
		if (replaced) {
			out = before;
			(void)plan_request(&arbiter->node, *item, replaced, &out);
		}
	}
	return out.general;
}

/* Makes what was planned true. */
static void settle(struct arbiter *arbiter, uint32_t n_used, const struct request *newcomer)
{
	arbiter->n_used = n_used;
	vec_for_each (item, &arbiter->line) {
		struct request *request = *item;

		for (size_t i = 0; i < request->n; i++) {
			struct event *event = &request->events[i];
			bool changed = event->told.status != event->next.status;

			event->told = event->next;
			if (changed && request != newcomer && arbiter->fn)
				arbiter->fn(request->id, i, &event->told, arbiter->data);
		}
	}
}

/* ---- requests ---- */

static struct request *request_new(const struct arbiter_request *asked)
{
	_cleanup_(request_freep) struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->events = calloc(asked->n_events, sizeof(*request->events));
	if (!request->events)
		return NULL;
	for (size_t i = 0; i < asked->n_events; i++)
		request->events[i].asked = asked->events[i];
	request->n = asked->n_events;
	request->priority = asked->priority;
	request->takes_back = asked->takes_back;
	return take_ptr(request);
}

/* Behind all that are as important. There is room. Returns the place. */
static size_t line_up(struct arbiter *arbiter, struct request *request)
{
	size_t at = arbiter->line.n;

	while (at && arbiter->line.items[at - 1]->priority < request->priority)
		at--;
	memmove(&arbiter->line.items[at + 1], &arbiter->line.items[at],
		(arbiter->line.n - at) * sizeof(*arbiter->line.items));
	arbiter->line.items[at] = request;
	arbiter->line.n++;
	return at;
}

static void leave_line(struct arbiter *arbiter, size_t at)
{
	request_free(arbiter->line.items[at]);
	arbiter->line.n--;
	memmove(&arbiter->line.items[at], &arbiter->line.items[at + 1],
		(arbiter->line.n - at) * sizeof(*arbiter->line.items));
}

static bool makes_sense(const struct arbiter_request *request)
{
	if (request->n_events < 1 || request->n_events > ARBITER_EVENTS_MAX || request->priority < ARBITER_PRIORITY_METRICS ||
	    request->priority > 100)
		return false;
	for (size_t i = 0; i < request->n_events; i++)
		if (request->events[i].class > EVENT_HARDWARE)
			return false;
	return true;
}

int arbiter_request(struct arbiter *arbiter, const struct arbiter_request *asked, uint64_t *ret_id,
		    struct grant *ret_grants)
{
	_cleanup_(request_freep) struct request *request = NULL;
	size_t at, n_refused = 0;
	uint32_t n_used;

	if (!makes_sense(asked))
		return -EINVAL;
	if (arbiter->line.n >= arbiter->node.max_requests)
		return -ENOSPC;
	request = request_new(asked);
	if (!request || !vec_reserve(&arbiter->line, 1))
		return -ENOMEM;
	at = line_up(arbiter, request);
	n_used = plan(arbiter);
	for (size_t i = 0; i < request->n; i++) {
		ret_grants[i] = request->events[i].next;
		n_refused += ret_grants[i].status == GRANT_REFUSED;
	}
	if (n_refused == request->n) {
		request = NULL; /* goes with its place */
		leave_line(arbiter, at);
		return -EBUSY;
	}
	request->id = ++arbiter->last_id;
	*ret_id = request->id;
	settle(arbiter, n_used, take_ptr(request));
	return 0;
}

void arbiter_release(struct arbiter *arbiter, uint64_t id)
{
	for (size_t i = 0; i < arbiter->line.n; i++) {
		if (arbiter->line.items[i]->id != id)
			continue;
		leave_line(arbiter, i);
		settle(arbiter, plan(arbiter), NULL);
		return;
	}
}

uint32_t arbiter_max_requests(const struct arbiter *arbiter)
{
	return arbiter->node.max_requests;
}

uint32_t arbiter_free_counters(const struct arbiter *arbiter)
{
	return arbiter->node.n_counters - arbiter->n_used;
}

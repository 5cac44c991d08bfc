/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vpmu/sample.h>

#include "count_grants.h"
#include "session_plan.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct vpmu_counters *, vpmu_counters_free)

void count_grants_give_back(struct count_grants *grants)
{
	if (grants->request)
		arbiter_release(grants->arbiter, grants->request);
	vec_free(&grants->items);
	*grants = (struct count_grants){};
}

static int list_hardware(struct count_grants *grants, const char *events)
{
	_cleanup_(vpmu_counters_freep) struct vpmu_counters *counters = NULL;
	VPMU_OPTS(vpmu_counters_opts, opts, .events = events);
	const struct vpmu_event_info *info;

	/* What is wrong with them is told to whoever opens them. */
	if (vpmu_counters_new(&opts, &counters, NULL) < 0)
		return 0;
	for (size_t i = 0; (info = vpmu_counters_event(counters, i)); i++) {
		struct count_grant item = {
			.counter = i,
			.guest = !info->excludes_guest,
			.fixed = session_plan_fixed(info->name),
		};

		snprintf(item.event, sizeof(item.event), "%s", info->name);
		if (info->is_hardware && !vec_push(&grants->items, item))
			return -ENOMEM;
	}
	return 0;
}

static void refuse_all(struct count_grants *grants, const char *why)
{
	vec_for_each (item, &grants->items)
		item->grant = (struct grant){ GRANT_REFUSED, why };
}

static int ask(struct count_grants *grants, int priority)
{
	/* The first is one that is always granted: without it, who gets nothing at all would not be told of what becomes free. */
	struct arbiter_event events[ARBITER_EVENTS_MAX] = { { .class = EVENT_SOFTWARE } };
	struct grant told[ARBITER_EVENTS_MAX];
	struct arbiter_request request = {
		.priority = priority, .takes_back = true, .n_events = 1, .events = events,
	};
	int r;

	if (grants->items.n > ARBITER_EVENTS_MAX - 1) {
		refuse_all(grants, "more hardware events than can be shared out");
		return 0;
	}
	vec_for_each (item, &grants->items)
		events[request.n_events++] = (struct arbiter_event){
			.name = item->event, .class = EVENT_HARDWARE, .fixed = item->fixed, .guest = item->guest,
		};
	r = arbiter_request(grants->arbiter, &request, &grants->request, told);
	if (r == -ENOSPC) {
		refuse_all(grants, "too many sessions and counters ask for hardware counters");
		return 0;
	}
	for (size_t i = 0; r == 0 && i < grants->items.n; i++)
		grants->items.items[i].grant = told[i + 1];
	return r;
}

int count_grants_ask(struct arbiter *arbiter, const char *events, int priority, struct count_grants *ret_grants)
{
	struct count_grants grants = { .arbiter = arbiter };
	int r = arbiter ? list_hardware(&grants, events) : 0;

	if (r == 0 && grants.items.n)
		r = ask(&grants, priority);
	if (r < 0) {
		count_grants_give_back(&grants);
		return r;
	}
	*ret_grants = grants;
	return 0;
}

bool count_grants_changed(struct count_grants *grants, uint64_t request, size_t event, const struct grant *grant)
{
	if (!grants->request || request != grants->request || event < 1 || event > grants->items.n)
		return false;
	grants->items.items[event - 1].grant = *grant;
	return true;
}

int count_grants_copy(const struct count_grants *grants, struct count_grants *copy)
{
	struct count_grants made = {};

	if (!vec_reserve(&made.items, grants->items.n))
		return -ENOMEM;
	vec_for_each (item, &grants->items)
		(void)vec_push(&made.items, *item);
	count_grants_give_back(copy);
	*copy = made;
	return 0;
}

void count_grants_withhold(const struct count_grants *grants, struct vpmu_counters *counters)
{
	vec_for_each (item, &grants->items)
		if (item->grant.status == GRANT_REFUSED)
			(void)vpmu_counters_withhold(counters, item->counter, item->grant.why);
}

const char *count_grants_note(const struct count_grants *grants, const struct vpmu_count *row)
{
	bool guest = row->sides & VPMU_SIDES_GUEST;

	vec_for_each (item, &grants->items)
		if (item->grant.status == GRANT_MULTIPLEXED && item->guest == guest && streq(item->event, row->event))
			return row->scaled ? item->grant.why : NULL;
	return NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Grants as letters, in the order of the events, the guest's side before the host's: G granted, M multiplexed, R refused. Sessions sample
 * on the host's side.
 */
#include <vpmu/host.h>
#include <vpmu/sample.h>

#include "daemon/count_grants.h"
#include "test.h"
#include "util/macro.h"

static const char *letters(const struct count_grants *grants)
{
	static char text[64];
	size_t n = 0;

	vec_for_each (item, &grants->items)
		text[n++] = "GMPR"[item->grant.status];
	text[n] = '\0';
	return text;
}

/* What the arbiter said to whom, as vpmud passes it on. */
struct told {
	struct count_grants *sets[2];
	size_t n_sets;
	unsigned int changes[2];
};

static void on_change(uint64_t request, size_t event, const struct grant *grant, void *data)
{
	struct told *told = data;

	for (size_t i = 0; i < told->n_sets; i++)
		told->changes[i] += count_grants_changed(told->sets[i], request, event, grant);
}

static uint64_t sample(struct arbiter *arbiter, size_t n_events, int priority)
{
	struct arbiter_event events[8];
	struct grant grants[8];
	struct arbiter_request request = { .priority = priority, .n_events = n_events, .events = events };
	uint64_t id = 0;

	for (size_t i = 0; i < n_events; i++)
		events[i] = (struct arbiter_event){ .class = EVENT_HARDWARE, .sampling = true };
	if (n_events)
		CHECK_EQ(arbiter_request(arbiter, &request, &id, grants), 0);
	return id;
}

TEST(sessions_go_first)
{
	static const struct {
		const char *events;
		struct arbiter_node node;
		size_t before, later;	       /* events of sessions that run already, and of one that comes */
		const char *first, *with, *then; /* with that session, and when all are gone */
		unsigned int free;	       /* at first */
	} cases[] = {
		{ "page-faults,kvm:exits,context-switches", { .n_counters = 4 }, 0, 4, "", "", "", 4 },
		{ "cycles,instructions", { .n_counters = 6 }, 0, 2, "GGGG", "GGGG", "GGGG", 2 },
		{ "cycles,instructions", { .n_counters = 4 }, 0, 1, "GGGG", "GGGM", "GGGG", 0 },
		{ "cycles,instructions", { .n_counters = 4 }, 0, 4, "GGGG", "RRRR", "GGGG", 0 },
		{ "cycles,instructions", { .n_counters = 3 }, 0, 0, "GGGM", "GGGM", "GGGM", 0 },
		{ "cycles,page-faults", { .n_counters = 2 }, 2, 0, "RR", "RR", "GG", 0 },
		{ "cycles:H", { .n_counters = 1 }, 0, 1, "G", "R", "G", 0 },
		{ "cycles:G", { .n_counters = 1, .fixed = VPMU_FIXED_CYCLES }, 0, 1, "G", "G", "G", 1 },
		{ "cycles", { .n_counters = 4, .mediated = true }, 0, 0, "RG", "RG", "RG", 3 },
		{ "cycles", { .n_counters = 0 }, 0, 0, "RR", "RR", "RR", 0 },
		{ "no-such-event", { .n_counters = 4 }, 0, 0, "", "", "", 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(arbiter_freep) struct arbiter *arbiter = NULL;
		struct count_grants grants = {};
		struct told told = { .sets = { &grants }, .n_sets = 1 };
		struct arbiter_node node = cases[i].node;
		uint64_t before, later;

		node.max_requests = 10;
		CHECK_EQ(arbiter_new(&node, on_change, &told, &arbiter), 0);
		before = sample(arbiter, cases[i].before, 0);
		CHECK_EQ(count_grants_ask(arbiter, cases[i].events, ARBITER_PRIORITY_COUNTERS, &grants), 0);
		CHECK_STR(letters(&grants), cases[i].first);
		CHECK_EQ(arbiter_free_counters(arbiter), cases[i].free);
		later = sample(arbiter, cases[i].later, -100);
		CHECK_STR(letters(&grants), cases[i].with);
		arbiter_release(arbiter, before);
		arbiter_release(arbiter, later);
		CHECK_STR(letters(&grants), cases[i].then);
		count_grants_give_back(&grants);
		CHECK_EQ(arbiter_free_counters(arbiter), node.n_counters);
	}
}

TEST(clients_go_before_metrics)
{
	_cleanup_(arbiter_freep) struct arbiter *arbiter = NULL;
	const struct arbiter_node node = { .n_counters = 2, .max_requests = 10 };
	struct count_grants metrics = {}, client = {};
	struct told told = { .sets = { &metrics, &client }, .n_sets = 2 };

	CHECK_EQ(arbiter_new(&node, on_change, &told, &arbiter), 0);
	CHECK_EQ(count_grants_ask(arbiter, "cycles", ARBITER_PRIORITY_METRICS, &metrics), 0);
	CHECK_STR(letters(&metrics), "GG");
	CHECK_EQ(count_grants_ask(arbiter, "instructions:G", ARBITER_PRIORITY_COUNTERS, &client), 0);
	CHECK_STR(letters(&client), "G");
	CHECK_STR(letters(&metrics), "GM");
	CHECK_EQ(told.changes[0], 1);
	CHECK_EQ(told.changes[1], 0);
	count_grants_give_back(&client);
	CHECK_STR(letters(&metrics), "GG");
	count_grants_give_back(&metrics);
}

TEST(rows_say_that_counters_are_shared)
{
	struct count_grants grants = {}, copy = {};
	const struct count_grant item = {
		.event = "cycles", .guest = true, .grant = { GRANT_MULTIPLEXED, "more events than counters" },
	};
	struct vpmu_count row = { .event = "cycles", .sides = VPMU_SIDES_GUEST, .scaled = true };

	CHECK(vec_push(&grants.items, item));
	CHECK_EQ(count_grants_copy(&grants, &copy), 0);
	count_grants_give_back(&grants);
	CHECK_STR(count_grants_note(&copy, &row), "more events than counters");
	row.scaled = false; /* there was room all the time */
	CHECK(!count_grants_note(&copy, &row));
	row.scaled = true;
	row.sides = VPMU_SIDES_HOST;
	CHECK(!count_grants_note(&copy, &row));
	count_grants_give_back(&copy);
}

TEST(what_was_refused_is_not_opened)
{
	VPMU_OPTS(vpmu_counters_opts, opts, .events = "page-faults,cycles");
	struct vpmu_counters *counters = NULL;
	struct count_grants grants = {};
	struct arbiter_node node = { .max_requests = 1 };
	_cleanup_(arbiter_freep) struct arbiter *arbiter = NULL;

	CHECK_EQ(arbiter_new(&node, NULL, NULL, &arbiter), 0);
	CHECK_EQ(count_grants_ask(arbiter, opts.events, 0, &grants), 0);
	CHECK_EQ(grants.items.n, 2);
	CHECK_EQ(grants.items.items[0].counter, 1);
	CHECK_EQ(vpmu_counters_new(&opts, &counters, NULL), 0);
	count_grants_withhold(&grants, counters);
	CHECK_STR(vpmu_counters_event(counters, 1)->name, "cycles");
	CHECK(!vpmu_counters_event(counters, 1)->excludes_guest && vpmu_counters_event(counters, 2)->excludes_guest);
	CHECK(!vpmu_counters_event(counters, 3));
	vpmu_counters_free(counters);
	count_grants_give_back(&grants);
}

int main(void)
{
	return test_main();
}

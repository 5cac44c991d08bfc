/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <vpmu/common.h>

#include "session/count_plan.h"
#include "util/strbuf.h"
#include "test.h"

static struct count_plan plan_of(const char *events, bool mediated)
{
	struct count_plan plan = {};
	struct event_spec *specs;
	struct vpmu_error error;
	size_t n;

	if (event_parse_list(events, "/nowhere", &specs, &n, &error) < 0)
		FAIL("%s", error.text);
	CHECK_EQ(count_plan_add(&plan, specs, n, mediated), 0);
	CHECK_EQ(count_plan_group(&plan), 0);
	free(specs);
	return plan;
}

static void check_counter(const struct count_plan *plan, size_t i, const char *name,
			  unsigned int sides, size_t base)
{
	CHECK_CMP(i, <, plan->counters.n);
	CHECK_STR(plan->counters.items[i].spec.name, name);
	CHECK_EQ(plan->counters.items[i].sides, sides);
	CHECK_EQ(plan->counters.items[i].base, base);
}

TEST(hardware_events_count_guest_and_host_apart)
{
	struct count_plan plan = plan_of("cycles,page-faults", false);

	CHECK_EQ(plan.counters.n, 3);
	check_counter(&plan, 0, "cycles", VPMU_SIDES_GUEST, COUNT_NO_BASE);
	CHECK(plan.counters.items[0].spec.attr.exclude_host &&
	      !plan.counters.items[0].spec.attr.exclude_guest);
	check_counter(&plan, 1, "cycles", VPMU_SIDES_HOST, COUNT_NO_BASE);
	CHECK(plan.counters.items[1].spec.attr.exclude_guest &&
	      !plan.counters.items[1].spec.attr.exclude_host);
	check_counter(&plan, 2, "page-faults", VPMU_SIDES_ALL, COUNT_NO_BASE);
	CHECK(!plan.counters.items[2].spec.attr.exclude_guest &&
	      !plan.counters.items[2].spec.attr.exclude_host);
	count_plan_deinit(&plan);
}

TEST(modifiers_leave_sides_out)
{
	struct count_plan plan = plan_of("cycles:G,cycles:H,cycles:u", false);

	CHECK_EQ(plan.counters.n, 4);
	check_counter(&plan, 0, "cycles:G", VPMU_SIDES_GUEST, COUNT_NO_BASE);
	check_counter(&plan, 1, "cycles:H", VPMU_SIDES_HOST, COUNT_NO_BASE);
	check_counter(&plan, 2, "cycles:u", 1u << VPMU_SIDE_GUEST_USER, COUNT_NO_BASE);
	check_counter(&plan, 3, "cycles:u", 1u << VPMU_SIDE_HOST_USER, COUNT_NO_BASE);
	count_plan_deinit(&plan);
}

TEST(what_is_divided_is_counted_together)
{
	struct count_plan plan = plan_of("instructions,cpu-cycles,cache-misses", false);

	CHECK_EQ(plan.counters.n, 6);
	check_counter(&plan, 0, "instructions", VPMU_SIDES_GUEST, 2);
	check_counter(&plan, 1, "instructions", VPMU_SIDES_HOST, 3);
	check_counter(&plan, 4, "cache-misses", VPMU_SIDES_GUEST,
		      COUNT_NO_BASE); /* of what, is not asked for */
	CHECK_EQ(plan.groups.n, 4);
	for (size_t i = 0; i < 2; i++) {
		CHECK_EQ(plan.groups.items[i].n, 2);
		CHECK_EQ(plan.groups.items[i].counters[0], 2 + i);
		CHECK_EQ(plan.groups.items[i].counters[1], i);
	}
	count_plan_deinit(&plan);
}

TEST(misses_of_a_cache_are_part_of_its_accesses)
{
	struct count_plan plan =
		plan_of("LLC-loads:G,LLC-load-misses:G,LLC-stores:G,LLC-load-misses:H", false);

	check_counter(&plan, 1, "LLC-load-misses:G", VPMU_SIDES_GUEST, 0);
	check_counter(&plan, 3, "LLC-load-misses:H", VPMU_SIDES_HOST, COUNT_NO_BASE);
	CHECK_EQ(plan.groups.n, 3);
	count_plan_deinit(&plan);
}

TEST(every_counter_is_in_one_group_and_groups_stay_small)
{
	struct count_plan plan = plan_of(
		"cycles:G,instructions:G,stalled-cycles-frontend:G,stalled-cycles-backend:G,"
		"idle-cycles-backend:G,instructions:G,branches:G",
		false);
	size_t seen[16] = {};

	for (size_t g = 0; g < plan.groups.n; g++) {
		CHECK_CMP(plan.groups.items[g].n, <=, COUNT_GROUP_MAX);
		for (size_t i = 0; i < plan.groups.items[g].n; i++)
			seen[plan.groups.items[g].counters[i]]++;
	}
	for (size_t i = 0; i < plan.counters.n; i++)
		CHECK_EQ(seen[i], 1);
	count_plan_deinit(&plan);
}

TEST(a_mediated_vpmu_leaves_the_host_s_side)
{
	struct count_plan plan = plan_of("cycles,cpu-clock", true);

	CHECK(plan.counters.items[0].withheld[0]);
	CHECK(!plan.counters.items[1].withheld[0]);
	CHECK(!plan.counters.items[2].withheld[0]);
	count_plan_deinit(&plan);
}

TEST(statistics_of_kvm_s_are_no_tracepoints)
{
	struct count_plan plan;
	struct vpmu_error error;

	CHECK_EQ(count_plan_init(&plan, "kvm:exits,cpu-clock,kvm:halt_wait_ns", &error), 0);
	CHECK_EQ(plan.counters.n, 1);
	CHECK_EQ(plan.stats.n, 2);
	CHECK_STR(plan.stats.items[1].name, "kvm:halt_wait_ns");
	CHECK_EQ(count_plan_values(&plan), 3);
	count_plan_deinit(&plan);
	CHECK_EQ(count_plan_init(&plan, "kvm:exits", &error), 0);
	CHECK_EQ(plan.counters.n, 0);
	count_plan_deinit(&plan);
	CHECK_CMP(count_plan_init(&plan, "kvm:kvm_no_such_thing", &error), <, 0);
	CHECK_CONTAINS(error.text, "tracepoint");
	CHECK_CMP(count_plan_init(&plan, "kvm:exits,", &error), <, 0);
	CHECK_CMP(count_plan_init(&plan, "kvm:Exits!", &error), <, 0);
}

TEST(there_is_an_end_to_what_one_may_ask_for)
{
	_strbuf_ struct strbuf stats = {}, events = {};
	struct vpmu_error error = {};
	struct count_plan plan;

	for (int i = 0; i < 64; i++)
		strbuf_addf(&stats, "%skvm:stat_%d", i ? "," : "", i);
	CHECK_EQ(count_plan_init(&plan, stats.text, &error), 0);
	CHECK_EQ(plan.stats.n, 64);
	count_plan_deinit(&plan);
	strbuf_adds(&stats, ",kvm:exits");
	CHECK_EQ(count_plan_init(&plan, stats.text, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "more than 64 of KVM's statistics");
	for (int i = 0; i < 65; i++)
		strbuf_addf(&events, "%scpu-clock", i ? "," : "");
	CHECK_EQ(count_plan_init(&plan, events.text, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "more than 64 events");
}

TEST(the_default_is_what_exists_here)
{
	struct count_plan plan;
	struct vpmu_error error;
	bool hardware = false;

	if (count_plan_init(&plan, NULL, &error) < 0)
		FAIL("%s", error.text);
	check_counter(&plan, 0, "context-switches", VPMU_SIDES_ALL, COUNT_NO_BASE);
	vec_for_each (counter, &plan.counters)
		hardware |= counter->spec.is_hardware;
	CHECK(hardware || plan.missing[0]);
	count_plan_deinit(&plan);
}

TEST(an_unknown_event_is_refused)
{
	struct count_plan plan;
	struct vpmu_error error;

	CHECK_EQ(count_plan_init(&plan, "cycels", &error), -EINVAL);
	CHECK_CONTAINS(error.text, "cycels");
	CHECK_EQ(count_plan_init(&plan, "", &error), 0);
	CHECK_EQ(plan.counters.n, 0);
	count_plan_deinit(&plan);
}

int main(void)
{
	return test_main();
}

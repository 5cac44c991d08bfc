/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "busy.h"
#include "host/counter.h"
#include "toucher.h"
#include "util/muldiv.h"

static const struct perf_event_attr page_faults = { .type = PERF_TYPE_SOFTWARE,
						    .config = PERF_COUNT_SW_PAGE_FAULTS },
				    switches = { .type = PERF_TYPE_SOFTWARE,
						 .config = PERF_COUNT_SW_CONTEXT_SWITCHES },
				    task_clock = { .type = PERF_TYPE_SOFTWARE,
						   .config = PERF_COUNT_SW_TASK_CLOCK };

static struct counter_group *open_group(const struct perf_event_attr *attrs, size_t n, pid_t tid)
{
	struct counter_group *group = NULL;
	size_t failed;
	int r = counter_group_open(attrs, n, tid, &group, &failed);

	if (r == -EACCES || r == -EPERM || r == -ENOSYS)
		skip("perf events are not available here (perf_event_paranoid, CAP_PERFMON)");
	if (r < 0)
		FAIL("event %zu: %s", failed, strerror(-r));
	return group;
}

TEST(page_faults_are_counted_to_the_last_one)
{
	struct toucher t = toucher_start();
	struct counter_group *group = open_group(&page_faults, 1, t.pid);
	struct counter_value before, after;

	CHECK_EQ(counter_group_enable(group), 0);
	toucher_touch(&t, 1009);
	CHECK_EQ(counter_group_read(group, &before), 0);
	CHECK_EQ(before.value, 1009);
	CHECK_CMP(before.running_ns, >, 0);
	CHECK_EQ(before.running_ns, before.enabled_ns);
	toucher_touch(&t, 1013);
	CHECK_EQ(counter_group_read(group, &after), 0);
	CHECK_EQ(counter_since(&after, &before).value, 1013);
	counter_group_free(group);
	toucher_end(&t);
}

TEST(nothing_is_counted_before_the_start)
{
	struct toucher t = toucher_start();
	struct counter_group *group = open_group(&page_faults, 1, t.pid);
	struct counter_value value = { 1, 1, 1 };

	toucher_touch(&t, 101);
	CHECK_EQ(counter_group_read(group, &value), 0);
	CHECK_EQ(value.value, 0);
	counter_group_free(group);
	toucher_end(&t);
}

TEST(a_group_counts_at_the_same_times)
{
	const struct perf_event_attr attrs[] = { task_clock, page_faults, switches };
	struct toucher t = toucher_start();
	struct counter_group *group = open_group(attrs, 3, t.pid);
	struct counter_value values[3];

	CHECK_EQ(counter_group_enable(group), 0);
	for (int i = 0; i < 11; i++) {
		toucher_touch(&t, 97);
		toucher_wait(&t);
	}
	CHECK_EQ(counter_group_read(group, values), 0);
	CHECK_CMP(values[0].value, >, 0);
	CHECK_EQ(values[1].value, 11 * 97);
	CHECK_CMP(values[2].value, >=, 10); /* it slept between the orders */
	for (int i = 0; i < 3; i++)
		CHECK_CMP(values[i].running_ns, >, 0);
	counter_group_free(group);
	toucher_end(&t);
}

TEST(values_outlive_the_thread)
{
	struct toucher t = toucher_start();
	struct counter_group *group = open_group(&page_faults, 1, t.pid);
	struct counter_value value;

	CHECK_EQ(counter_group_enable(group), 0);
	toucher_touch(&t, 503);
	toucher_end(&t);
	CHECK_EQ(counter_group_read(group, &value), 0);
	CHECK_CMP(value.value, >=, 503);
	counter_group_free(group);
}

TEST(whom_it_does_not_know_it_refuses)
{
	const struct perf_event_attr attrs[] = { page_faults,
						 { .type = PERF_TYPE_SOFTWARE, .config = 0xffff } };
	struct counter_group *group = NULL;
	size_t failed = 9;
	int r = counter_group_open(attrs, 2, 0, &group, &failed);

	if (r == -EACCES || r == -EPERM || r == -ENOSYS)
		skip("perf events are not available here (perf_event_paranoid, CAP_PERFMON)");
	CHECK_CMP(r, <, 0);
	CHECK_EQ(failed, 1);
	CHECK(!group);
}

TEST(multiplexed_values_are_scaled_without_losing_digits)
{
	uint64_t value;

	CHECK_EQ(counter_scale(&(struct counter_value){ 7, 100, 100 }, &value), COUNTER_WHOLE);
	CHECK_EQ(value, 7);
	CHECK_EQ(counter_scale(&(struct counter_value){ 10, 300, 100 }, &value), COUNTER_SCALED);
	CHECK_EQ(value, 30);
	CHECK_EQ(counter_scale(&(struct counter_value){ 2, 4, 3 }, &value), COUNTER_SCALED);
	CHECK_EQ(value, 3); /* 2.67 */
	/* Odd numbers above 2^53 are none that a double holds. */
	CHECK_EQ(counter_scale(
			 &(struct counter_value){ (1ull << 60) + 1, 3000000000000, 1000000000000 },
			 &value),
		 COUNTER_SCALED);
	CHECK_EQ(value, 3 * ((1ull << 60) + 1));
	CHECK_EQ(counter_scale(&(struct counter_value){ UINT64_MAX / 2, 3, 1 }, &value),
		 COUNTER_SCALED);
	CHECK_EQ(value, UINT64_MAX);
}

TEST(what_was_never_counted_has_no_value)
{
	uint64_t value = 1;

	CHECK_EQ(counter_scale(&(struct counter_value){ 0, 100, 0 }, &value), COUNTER_NEVER);
	CHECK_EQ(value, 0);
	/* Its thread slept all the time: that is a count of none. */
	CHECK_EQ(counter_scale(&(struct counter_value){ 0, 0, 0 }, &value), COUNTER_WHOLE);
	CHECK_EQ(value, 0);
}

TEST(mul_div_rounds_and_does_not_overflow)
{
	CHECK_EQ(mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
	CHECK_EQ(mul_div(UINT64_MAX, 2, 1), UINT64_MAX);
	CHECK_EQ(mul_div(5, 1, 2), 3);
	CHECK_EQ(mul_div(0, 7, 9), 0);
}

int main(void)
{
	return test_main();
}

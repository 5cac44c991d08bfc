/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <time.h>

#include "fake_proc.h"
#include "session/plan.h"
#include "test.h"

static struct plan make(struct vpmu_session_opts *opts)
{
	struct vpmu_error error = {};
	struct plan plan;

	if (plan_init(&plan, opts, &error) < 0)
		FAIL("%s", error.text);
	return plan;
}

TEST(samples_begin_as_the_overlay_says)
{
	VPMU_OPTS(vpmu_session_opts, opts, .events = "cpu-clock");
	struct plan plan = make(&opts);
	const struct perf_event_attr *attr = &plan.events[0].spec.attr;

	CHECK_EQ(attr->sample_type, PLAN_SAMPLE_TYPE);
	CHECK_EQ(plan.events[0].layout.id_offset, offsetof(struct plan_sample, id));
	CHECK_EQ(plan.events[0].layout.id_tail,
		 sizeof(struct plan_record_tail) - offsetof(struct plan_record_tail, id));
	CHECK(attr->freq && attr->sample_freq == 999);
	CHECK(attr->use_clockid && attr->clockid == CLOCK_MONOTONIC);
	CHECK(attr->mmap && attr->mmap2 && attr->comm && attr->task && attr->sample_id_all);
	CHECK(!attr->inherit && !attr->exclude_guest && !attr->exclude_host);
	CHECK_STR(plan.source_line, "cpu-clock 999 Hz");
	plan_deinit(&plan);
}

TEST(the_default_rate_is_what_the_kernel_allows)
{
	VPMU_OPTS(vpmu_session_opts, opts, .events = "cpu-clock");
	struct vpmu_error error = {};
	struct plan plan;

	fake_text(fake_path("sys/kernel/perf_event_max_sample_rate"), "500\n");
	opts.guests = (struct vpmu_guests_opts){ .sz = sizeof(opts.guests), .proc_path = fake_dir() };
	plan = make(&opts);
	CHECK_EQ(plan.events[0].spec.attr.sample_freq, 500);
	CHECK_STR(plan.source_line, "cpu-clock 500 Hz");
	plan_deinit(&plan);
	opts.frequency_hz = 501;
	CHECK_EQ(plan_init(&plan, &opts, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "501 Hz");
}

TEST(a_clock_is_filtered_by_the_record_not_by_the_kernel)
{
	VPMU_OPTS(vpmu_session_opts, guest, .events = "cpu-clock", .sides = VPMU_SIDES_GUEST);
	VPMU_OPTS(vpmu_session_opts, both, .events = "cpu-clock",
		  .sides = VPMU_SIDES_GUEST | VPMU_SIDES_HOST);
	struct plan plan = make(&guest);

	CHECK(plan.filters);
	CHECK_EQ(plan.events[0].sides, VPMU_SIDES_GUEST);
	CHECK(!plan.events[0].spec.attr.exclude_host);
	plan_deinit(&plan);
	plan = make(&both);
	CHECK(!plan.filters);
	CHECK_EQ(plan.events[0].sides, VPMU_SIDES_ALL);
	plan_deinit(&plan);
}

TEST(one_event_of_several_reports_mappings)
{
	VPMU_OPTS(vpmu_session_opts, opts, .events = "cpu-clock,task-clock", .period = 2000000,
		  .host_chains = true);
	struct plan plan = make(&opts);

	CHECK_EQ(plan.n_events, 2);
	CHECK(plan.events[0].spec.attr.mmap2 && !plan.events[1].spec.attr.mmap2);
	for (int i = 0; i < 2; i++) {
		CHECK(plan.events[i].spec.attr.sample_type & PERF_SAMPLE_CALLCHAIN);
		CHECK(!plan.events[i].spec.attr.freq);
		CHECK_EQ(plan.events[i].info.period, 2000000);
		CHECK_EQ(plan.events[i].info.frequency_hz, 0);
		CHECK(plan.events[i].info.is_clock);
	}
	CHECK_STR(plan.source_line, "cpu-clock,task-clock every 2000000 ns");
	plan_deinit(&plan);
}

TEST(what_a_ring_will_hold_is_foreseen)
{
	VPMU_OPTS(vpmu_session_opts, slow, .events = "cpu-clock", .frequency_hz = 100);
	VPMU_OPTS(vpmu_session_opts, fast, .events = "cpu-clock", .period = 100000);
	struct plan a = make(&slow), b = make(&fast);

	CHECK_EQ(a.bytes_a_second, 100 * (sizeof(struct plan_sample) - sizeof(uint64_t)));
	CHECK_EQ(b.bytes_a_second, 100 * a.bytes_a_second); /* 10000 a second */
	plan_deinit(&a);
	plan_deinit(&b);
}

int main(void)
{
	return test_main();
}

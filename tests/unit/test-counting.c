/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <vpmu/sample.h>

#include "daemon/counting.h"
#include "fake_proc.h"
#include "fake_vcpu.h"
#include "util/macro.h"

/* ---- the arithmetic ---- */

static struct vpmu_count row(uint32_t vcpu, const char *event, unsigned int sides, uint64_t value)
{
	return (struct vpmu_count){ .vcpu = vcpu,
				    .tid = (pid_t)vcpu + 100,
				    .event = event,
				    .sides = sides,
				    .is_account = strstr(event, "-time") || strstr(event, "switches"),
				    .value = value };
}

static void add(struct guest_totals *totals, const struct vpmu_count *rows, size_t n)
{
	const struct vpmu_counts counts = { .n = n, .items = rows };

	CHECK_EQ(guest_totals_add(totals, &counts), 0);
}

TEST(readings_add_up_by_vcpu_and_side)
{
	const struct vpmu_count rows[] = {
		row(4, "guest-time", VPMU_SIDES_GUEST, 100),  row(4, "wall-time", 0, 1000),
		row(4, "cycles", VPMU_SIDES_GUEST, 7),	       row(4, "cycles", VPMU_SIDES_HOST, 11),
		row(2, "guest-time", VPMU_SIDES_GUEST, 3),    row(2, "wait-time", 0, 5),
	};
	struct guest_totals totals = {};

	for (int i = 0; i < 3; i++)
		add(&totals, rows, ARRAY_SIZE(rows));
	CHECK_EQ(totals.vcpus.n, 2);
	CHECK_EQ(totals.vcpus.items[0].index, 2);
	CHECK_EQ(totals.vcpus.items[0].times_ns[VCPU_WAIT], 15);
	CHECK_EQ(totals.vcpus.items[1].index, 4);
	CHECK_EQ(totals.vcpus.items[1].times_ns[VCPU_GUEST], 300);
	CHECK_EQ(totals.vcpus.items[1].events[VCPU_GUEST_CYCLES], 21);
	CHECK_EQ(totals.vcpus.items[1].events[VCPU_HOST_CYCLES], 33);
	CHECK_EQ(totals.vcpus.items[1].has_times, 1u << VCPU_GUEST);
	vec_free(&totals.vcpus);
}

TEST(what_was_not_had_is_no_zero)
{
	struct vpmu_count rows[] = { row(0, "cycles", VPMU_SIDES_GUEST, 0), row(0, "wait-time", 0, 0),
				     row(0, "page-faults", VPMU_SIDES_ALL, 0) };
	struct guest_totals totals = {};

	rows[0].status = VPMU_COUNT_UNAVAILABLE;
	rows[1].status = VPMU_COUNT_UNAVAILABLE;
	add(&totals, rows, ARRAY_SIZE(rows));
	CHECK_EQ(totals.vcpus.items[0].has_times, 0);
	CHECK_EQ(totals.vcpus.items[0].has_events, 1u << VCPU_PAGE_FAULTS);
	vec_free(&totals.vcpus);
}

TEST(a_vcpu_that_came_back_goes_on)
{
	struct vpmu_count rows[] = { row(1, "guest-time", VPMU_SIDES_GUEST, 13),
				     row(1, "guest-time", VPMU_SIDES_GUEST, 17) };
	struct guest_totals totals = {};

	rows[0].ended = true;
	rows[1].tid = 977;
	add(&totals, rows, ARRAY_SIZE(rows));
	CHECK_EQ(totals.vcpus.n, 1);
	CHECK_EQ(totals.vcpus.items[0].times_ns[VCPU_GUEST], 30);
	vec_free(&totals.vcpus);
}

TEST(vcpus_without_number_are_bounded)
{
	struct vpmu_count rows[2 * COUNTING_VCPUS_MAX];
	struct guest_totals totals = {};

	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i] = row(UINT32_MAX - 7 * i, "guest-time", VPMU_SIDES_GUEST, 1);
	add(&totals, rows, ARRAY_SIZE(rows));
	CHECK_EQ(totals.vcpus.n, COUNTING_VCPUS_MAX);
	CHECK_EQ(totals.n_left_out, COUNTING_VCPUS_MAX);
	vec_free(&totals.vcpus);
}

/* ---- in the loop ---- */

struct world {
	sd_event *loop;
	struct jobs *jobs;
	struct config config;
	struct domains *domains;
	struct counting *counting;
	int asked, cancelled, intervals;
};

static void on_interval(void *data)
{
	struct world *world = data;

	world->intervals++;
}

static void on_asked(bool cancelled, void *data)
{
	struct world *world = data;

	world->asked++;
	world->cancelled += cancelled;
}

static struct world *world_new(uint64_t interval_ns)
{
	struct world *world = calloc(1, sizeof(*world));
	struct counting_opts opts = {
		.proc_path = fake_dir(), .events = "", .interval_ns = interval_ns, .fn = on_interval, .data = world
	};

	CHECK(world);
	world->config.other_guests = true;
	CHECK_EQ(sd_event_new(&world->loop), 0);
	CHECK_EQ(jobs_new(world->loop, 1, &world->jobs, NULL), 0);
	CHECK_EQ(domains_new(world->loop, &world->config, fake_dir(), &world->domains, NULL), 0);
	opts.loop = world->loop;
	opts.jobs = world->jobs;
	opts.domains = world->domains;
	CHECK_EQ(counting_new(&opts, &world->counting, NULL), 0);
	return world;
}

static void world_free(struct world *world)
{
	counting_free(world->counting);
	jobs_free(world->jobs);
	domains_free(world->domains);
	sd_event_unref(world->loop);
	free(world);
}

static const struct guest_totals *totals_of(struct world *world, size_t i)
{
	return counting_guest(world->counting, domains_get(world->domains, i)->id);
}

static void run_intervals(struct world *world, int n)
{
	int end = world->intervals + n;

	WAIT_UNTIL(world->intervals >= end, CHECK(sd_event_run(world->loop, 10000) >= 0));
}

TEST(sums_go_on_at_every_interval)
{
	struct world *world;

	fake_vcpu_process(400, "web1", 1000);
	world = world_new(10000000);
	run_intervals(world, 2);
	fake_vcpu_waited(400, 1019);
	run_intervals(world, 2);
	CHECK_EQ(totals_of(world, 0)->vcpus.items[0].times_ns[VCPU_WAIT], 19);
	fake_vcpu_waited(400, 1042);
	run_intervals(world, 2);
	CHECK_EQ(totals_of(world, 0)->vcpus.items[0].times_ns[VCPU_WAIT], 42);
	world_free(world);
}

TEST(sums_of_a_guest_go_with_it)
{
	struct world *world;
	uint64_t first;

	fake_vcpu_process(400, "web1", 0);
	world = world_new(10000000);
	run_intervals(world, 3);
	first = domains_get(world->domains, 0)->id;
	CHECK(counting_guest(world->counting, first));
	fake_vcpu_end(400);
	fake_vcpu_process(500, "web2", 0);
	domains_look(world->domains);
	CHECK(!counting_guest(world->counting, first));
	run_intervals(world, 3);
	CHECK(!counting_guest(world->counting, first));
	CHECK(totals_of(world, 0));
	world_free(world);
}

TEST(who_asks_gets_a_fresh_reading)
{
	struct world *world;
	uint64_t begin_ms;

	fake_vcpu_process(400, "web1", 0);
	world = world_new(UINT64_C(3600000000000));
	begin_ms = test_now_ms();
	CHECK_EQ(counting_ask(world->counting, on_asked, world), 0);
	CHECK_EQ(world->asked, 0);
	WAIT_UNTIL(world->asked, CHECK(sd_event_run(world->loop, 10000) >= 0));
	CHECK_EQ(world->asked, 1);
	/* That one is still good, for a second. */
	CHECK_EQ(counting_ask(world->counting, on_asked, world), 0);
	if (test_now_ms() - begin_ms < 1000)
		CHECK_EQ(world->asked, 2);
	WAIT_UNTIL(world->asked == 2, CHECK(sd_event_run(world->loop, 10000) >= 0));
	CHECK_EQ(world->cancelled, 0);
	world_free(world);
}

TEST(who_waits_at_the_end_is_told)
{
	struct world *world = world_new(UINT64_C(3600000000000));

	CHECK_EQ(counting_ask(world->counting, on_asked, world), 0);
	world->counting = counting_free(world->counting);
	CHECK_EQ(world->asked, 1);
	CHECK_EQ(world->cancelled, 1);
	world_free(world);
}

int main(void)
{
	return test_main();
}

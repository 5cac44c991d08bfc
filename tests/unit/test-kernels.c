/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child_guest.h"
#include "daemon/kernels.h"

struct world {
	sd_event *loop;
	struct jobs *jobs;
	struct domains *domains;
	struct kernels *kernels;
	struct config config;
};

static void world_open(struct world *world, uint32_t first_look_ms)
{
	*world = (struct world){ .config.other_guests = true };
	CHECK_EQ(sd_event_new(&world->loop), 0);
	CHECK_EQ(jobs_new(world->loop, 1, &world->jobs, NULL), 0);
	CHECK_EQ(domains_new(world->loop, &world->config, NULL, &world->domains, NULL), 0);
	CHECK_EQ(kernels_new(world->loop, world->jobs, world->domains, first_look_ms, &world->kernels, NULL), 0);
}

static void world_close(struct world *world)
{
	kernels_free(world->kernels);
	jobs_free(world->jobs);
	domains_free(world->domains);
	sd_event_unref(world->loop);
}

static const struct domain *domain_of(const struct world *world, pid_t pid)
{
	const struct domain *domain;

	for (size_t i = 0; (domain = domains_get(world->domains, i)); i++)
		if (domain->guest.pid == pid)
			return domain;
	FAIL("process %d is no guest", pid);
}

/* What there is to find is held against real kernels in tests/lab. */
TEST(a_guest_without_a_kernel_says_so)
{
	pid_t pid = child_guest_new();
	const struct domain *domain;
	struct world world;

	world_open(&world, 1);
	domain = domain_of(&world, pid);
	WAIT_UNTIL(domain->why, CHECK_CMP(sd_event_run(world.loop, 10000), >=, 0));
	CHECK_CONTAINS(domain->why, "no Linux kernel");
	CHECK(!domain->kernel);
	child_guest_end(pid);
	world_close(&world);
}

TEST(the_reason_is_told_after_the_first_look)
{
	/* The last look comes when thirty-one times as long has passed. Other guests on this machine are looked at, too. */
	const uint32_t first_look_ms = under_valgrind() ? 10000 : 1500;
	uint64_t end_ms = test_now_ms() + 30 * first_look_ms;
	pid_t pid = child_guest_new();
	const struct domain *domain;
	struct world world;

	world_open(&world, first_look_ms);
	domain = domain_of(&world, pid);
	while (!domain->why && test_now_ms() < end_ms)
		CHECK_CMP(sd_event_run(world.loop, 10000), >=, 0);
	CHECK_CONTAINS(domain->why, "no Linux kernel");
	child_guest_end(pid);
	world_close(&world);
}

TEST(a_look_under_way_may_outlive_its_guest_and_its_reader)
{
	pid_t pid = child_guest_new();
	struct world world;

	for (int turns = 0; turns < 4; turns++) {
		world_open(&world, 1);
		for (int i = 0; i < turns; i++)
			CHECK_CMP(sd_event_run(world.loop, 5000), >=, 0);
		if (turns == 3)
			child_guest_end(pid);
		world_close(&world);
	}
}

int main(void)
{
	return test_main();
}

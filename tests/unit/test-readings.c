/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/readings.h"
#include "fake_proc.h"
#include "fake_vcpu.h"
#include "util/macro.h"

/* A loop, a pool, domains over the fake /proc, a set of readings, and what came of it. */
struct world {
	sd_event *loop;
	struct jobs *jobs;
	struct config config;
	struct domains *domains;
	struct readings *readings;
	char read[512]; /* by the pool, while the loop waits: names of guests */
	uint64_t waited_ns, start_ns, end_ns;
	int done, gone, released;
};

static void on_read(const struct reading *reading, void *data)
{
	struct world *world = data;
	size_t n = strlen(world->read);

	snprintf(world->read + n, sizeof(world->read) - n, "%s%s%s", n ? " " : "", reading->name,
		 reading->last ? "(last)" : "");
	for (size_t i = 0; i < reading->counts.n; i++)
		if (streq(reading->counts.items[i].event, "wait-time"))
			world->waited_ns += reading->counts.items[i].value;
}

static void on_done(uint64_t start_ns, uint64_t end_ns, void *data)
{
	struct world *world = data;

	world->start_ns = start_ns;
	world->end_ns = end_ns;
	world->done++;
}

static void on_gone(uint64_t domain, void *data)
{
	struct world *world = data;

	(void)domain;
	world->gone++;
}

static void on_release(void *data)
{
	struct world *world = data;

	world->released++;
}

static bool wants_web(const struct domain *domain, void *data)
{
	(void)data;
	return starts_with(domain->name, "web");
}

static struct world *world_without_readings(void)
{
	struct world *world = calloc(1, sizeof(*world));

	CHECK(world);
	world->config.other_guests = true;
	CHECK_EQ(sd_event_new(&world->loop), 0);
	CHECK_EQ(jobs_new(world->loop, 2, &world->jobs, NULL), 0);
	CHECK_EQ(domains_new(world->loop, &world->config, fake_dir(), &world->domains, NULL), 0);
	return world;
}

static void begin_readings(struct world *world, bool (*wants)(const struct domain *domain, void *data))
{
	struct readings_opts opts = {
		.jobs = world->jobs, .domains = world->domains, .wants = wants,
		.read = on_read, .done = on_done, .gone = on_gone, .release = on_release, .data = world,
	};

	CHECK_EQ(gauge_counters_new("", fake_dir(), NULL, &opts.gauge), 0);
	CHECK_EQ(readings_new(&opts, &world->readings), 0);
}

static struct world *world_new(bool (*wants)(const struct domain *domain, void *data))
{
	struct world *world = world_without_readings();

	begin_readings(world, wants);
	return world;
}

static void world_free(struct world *world)
{
	readings_free(world->readings);
	jobs_free(world->jobs);
	CHECK_EQ(world->released, 1);
	domains_free(world->domains);
	sd_event_unref(world->loop);
	free(world);
}

/* The loop, until there were @done readings in all. */
static void run_until(struct world *world, int done)
{
	WAIT_UNTIL(world->done >= done, CHECK(sd_event_run(world->loop, 10000) >= 0));
	CHECK_EQ(world->done, done);
}

static void read_once(struct world *world)
{
	world->read[0] = '\0';
	world->waited_ns = 0;
	CHECK_EQ(readings_read(world->readings), 0);
	run_until(world, world->done + 1);
}

TEST(every_guest_is_read_since_the_last_time)
{
	struct world *world;

	fake_vcpu_process(400, "web1", 1000);
	world = world_new(NULL);
	read_once(world); /* opens, unless the first look at them came before */
	read_once(world);
	fake_vcpu_waited(400, 1017);
	read_once(world);
	CHECK_STR(world->read, "web1");
	CHECK_EQ(world->waited_ns, 17);
	CHECK_CMP(world->start_ns, <, world->end_ns);
	read_once(world);
	CHECK_EQ(world->waited_ns, 0);
	CHECK_EQ(readings_guests(world->readings), 1);
	world_free(world);
}

TEST(guests_join_when_they_start_and_leave_when_they_end)
{
	struct world *world = world_new(NULL);

	read_once(world);
	CHECK_STR(world->read, "");
	fake_vcpu_process(400, "web1", 0);
	domains_look(world->domains);
	read_once(world);
	read_once(world);
	CHECK_STR(world->read, "web1");
	fake_vcpu_process(500, "web2", 0);
	domains_look(world->domains);
	CHECK_EQ(readings_guests(world->readings), 2);
	read_once(world);
	read_once(world);
	CHECK_STR(world->read, "web1 web2");
	fake_vcpu_end(400);
	domains_look(world->domains);
	CHECK_EQ(world->gone, 1);
	CHECK_EQ(readings_guests(world->readings), 1);
	read_once(world);
	CHECK_STR(world->read, "web1(last) web2");
	read_once(world);
	CHECK_STR(world->read, "web2");
	world_free(world);
}

TEST(only_those_that_are_wanted)
{
	struct world *world;

	fake_vcpu_process(400, "db1", 0);
	fake_vcpu_process(500, "web1", 0);
	world = world_new(wants_web);
	read_once(world);
	read_once(world);
	CHECK_STR(world->read, "web1");
	fake_vcpu_end(400);
	domains_look(world->domains);
	CHECK_EQ(world->gone, 0);
	world_free(world);
}

static void call_it(struct world *world, const char *name)
{
	const struct libvirt_domain domain = { name, "00000000-0000-0000-0000-000000000001", "running", 400 };

	CHECK_EQ(domains_libvirt_has(world->domains, &domain), 0);
	domains_look(world->domains);
}

TEST(who_is_renamed_is_called_so_or_is_not_wanted_any_more)
{
	struct world *world;

	fake_vcpu_process(400, "web1", 0);
	world = world_new(wants_web);
	call_it(world, "web1");
	read_once(world);
	read_once(world);
	CHECK_STR(world->read, "web1");
	call_it(world, "web2");
	read_once(world);
	CHECK_STR(world->read, "web2");
	CHECK_EQ(world->gone, 0);
	call_it(world, "db");
	CHECK_EQ(world->gone, 1);
	CHECK_EQ(readings_guests(world->readings), 0);
	read_once(world);
	read_once(world);
	CHECK_STR(world->read, "");
	call_it(world, "web3");
	CHECK_EQ(readings_guests(world->readings), 1);
	read_once(world);
	read_once(world);
	CHECK_STR(world->read, "web3");
	world_free(world);
}

TEST(why_a_guest_could_not_be_opened_is_told)
{
	struct world *world;
	struct vpmu_error error;

	fake_vcpu_process(400, "web1", 0);
	world = world_without_readings();
	/* Another process has the number by now. */
	fake_stat(fake_path("400/stat"), 400, "stranger", 0, 1, FAKE_YOUNG + 1, 0);
	begin_readings(world, NULL);
	read_once(world);
	readings_error(world->readings, &error);
	CHECK_EQ(error.code, -ESRCH);
	CHECK_CONTAINS(error.text, "web1");
	world_free(world);
}

TEST(while_one_is_under_way_another_can_be_asked_for)
{
	struct world *world;

	fake_vcpu_process(400, "web1", 0);
	world = world_new(NULL);
	read_once(world);
	CHECK_EQ(readings_read(world->readings), 0);
	CHECK_EQ(readings_read_again(world->readings), 0);
	run_until(world, 3);
	world_free(world);
}

TEST(freed_while_a_job_runs_it_is_released_once)
{
	struct world *world;

	fake_vcpu_process(400, "web1", 0);
	world = world_new(NULL);
	CHECK_EQ(readings_read(world->readings), 0);
	world->readings = readings_free(world->readings);
	CHECK_EQ(world->done, 0);
	world_free(world);
}

int main(void)
{
	return test_main();
}

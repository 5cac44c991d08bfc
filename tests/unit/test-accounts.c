/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/accounts.h"
#include "fake_proc.h"
#include "fake_vcpu.h"
#include "util/macro.h"

/* ---- the arithmetic ---- */

static struct vpmu_exit exit_row(enum vpmu_exit_key key, const char *reason, uint64_t count, uint64_t total_ns)
{
	return (struct vpmu_exit){ .key = key, .reason = reason, .count = count, .total_ns = total_ns };
}

static void add(struct guest_account *account, const struct vpmu_exit *rows, size_t n)
{
	const struct vpmu_exit_rows reading = { .n = n, .items = rows };

	CHECK_EQ(guest_account_add_exits(account, &reading), 0);
}

TEST(exits_add_up_by_reason_and_events_by_kind)
{
	const struct vpmu_exit rows[] = {
		exit_row(VPMU_EXIT_REASON, "hlt", 7, 700), exit_row(VPMU_EXIT_REASON, "cpuid", 11, 110),
		exit_row(VPMU_EXIT_REASON, "hlt", 1, 100), /* of another vCPU */
		exit_row(VPMU_EXIT_PORT, "", 3, 0),	    exit_row(VPMU_EXIT_USER, "", 2, 0),
	};
	struct guest_account account = {};

	for (int i = 0; i < 3; i++)
		add(&account, rows, ARRAY_SIZE(rows));
	CHECK_EQ(account.reasons.n, 2);
	CHECK_STR(account.reasons.items[0].name, "hlt");
	CHECK_EQ(account.reasons.items[0].count, 24);
	CHECK_EQ(account.reasons.items[0].total_ns, 2400);
	CHECK_EQ(account.reasons.items[1].count, 33);
	CHECK_EQ(account.events[VPMU_EXIT_PORT], 9);
	CHECK_EQ(account.events[VPMU_EXIT_USER], 6);
	CHECK_EQ(account.events[VPMU_EXIT_REASON], 0);
	guest_account_deinit(&account);
}

TEST(what_is_beyond_the_limit_of_reasons_is_counted_together)
{
	struct guest_account account = {};

	for (int i = 0; i < 2 * ACCOUNT_REASONS_MAX; i++) {
		char name[16];
		struct vpmu_exit row = exit_row(VPMU_EXIT_REASON, name, 1, 10);

		snprintf(name, sizeof(name), "0x%x", i);
		add(&account, &row, 1);
	}
	CHECK_EQ(account.reasons.n, ACCOUNT_REASONS_MAX + 1);
	CHECK_STR(account.reasons.items[ACCOUNT_REASONS_MAX].name, "other");
	CHECK_EQ(account.reasons.items[ACCOUNT_REASONS_MAX].count, ACCOUNT_REASONS_MAX);
	guest_account_deinit(&account);
}

static void add_vcpu(struct guest_account *account, uint32_t index, uint64_t guest_ns, bool halt_known, uint64_t halt_ns)
{
	struct vpmu_clock_vcpu vcpu = { .vcpu = index };
	const struct vpmu_clock_times times = { .n = 1, .items = &vcpu };

	vcpu.parts[VPMU_CLOCK_GUEST] = (struct vpmu_clock_time){ .known = true, .ns = guest_ns };
	vcpu.parts[VPMU_CLOCK_HALT] = (struct vpmu_clock_time){ .known = halt_known, .ns = halt_ns };
	CHECK_EQ(guest_account_add_times(account, &times), 0);
}

TEST(clocks_add_up_by_vcpu_and_what_is_not_known_is_not_there)
{
	struct guest_account account = {};

	add_vcpu(&account, 3, 10, false, 0);
	add_vcpu(&account, 1, 100, true, 7);
	add_vcpu(&account, 3, 5, false, 0);
	CHECK_EQ(account.vcpus.n, 2);
	CHECK_EQ(account.vcpus.items[0].index, 1);
	CHECK_EQ(account.vcpus.items[0].has, 1u << VPMU_CLOCK_GUEST | 1u << VPMU_CLOCK_HALT);
	CHECK_EQ(account.vcpus.items[1].has, 1u << VPMU_CLOCK_GUEST);
	CHECK_EQ(account.vcpus.items[1].parts_ns[VPMU_CLOCK_GUEST], 15);
	guest_account_deinit(&account);
}

/* ---- over guests of a fake /proc, whose threads nothing happens to ---- */

struct world {
	sd_event *loop;
	struct jobs *jobs;
	struct config config;
	struct domains *domains;
	struct accounts *accounts;
	int answers, cancelled;
};

static void on_answer(bool cancelled, void *data)
{
	struct world *world = data;

	world->answers++;
	world->cancelled += cancelled;
}

static void world_init(struct world *world)
{
	struct accounts_opts opts = { .proc_path = fake_dir() };

	*world = (struct world){ .config.other_guests = true };
	CHECK_EQ(sd_event_new(&world->loop), 0);
	CHECK_EQ(jobs_new(world->loop, 2, &world->jobs, NULL), 0);
	CHECK_EQ(domains_new(world->loop, &world->config, fake_dir(), &world->domains, NULL), 0);
	opts.jobs = world->jobs;
	opts.domains = world->domains;
	CHECK_EQ(accounts_new(&opts, &world->accounts, NULL), 0);
}

static void world_deinit(struct world *world)
{
	accounts_free(world->accounts);
	jobs_free(world->jobs);
	domains_free(world->domains);
	sd_event_unref(world->loop);
}

static void run_until(struct world *world, int answers)
{
	WAIT_UNTIL(world->answers >= answers, CHECK(sd_event_run(world->loop, 10000) >= 0));
	CHECK_EQ(world->answers, answers);
}

TEST(who_asks_is_answered_at_once_where_nothing_is_accounted)
{
	struct world world;

	world_init(&world);
	accounts_set(world.accounts, false, false);
	CHECK_EQ(accounts_ask(world.accounts, on_answer, &world), 0);
	CHECK_EQ(world.answers, 1);
	CHECK_EQ(world.cancelled, 0);
	world_deinit(&world);
}

TEST(clocks_of_guests_are_there_until_they_are_not_wanted_any_more)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	struct world world;
	uint64_t domain;

	fake_vcpu_process(100, "web", 5);
	world_init(&world);
	accounts_set(world.accounts, false, true);
	domain = domains_get(world.domains, 0)->id;
	/* The first reading opens it, or finds it open. */
	for (int i = 1; i <= 2; i++) {
		CHECK_EQ(accounts_ask(world.accounts, on_answer, &world), 0);
		run_until(&world, i);
		usleep(i == 1 ? 1100000 : 0); /* what was read is good for a second */
	}
	CHECK(accounts_guest(world.accounts, domain)->has_clock);
	CHECK(!accounts_guest(world.accounts, domain)->has_exits);
	accounts_set(world.accounts, false, false);
	CHECK(!accounts_guest(world.accounts, domain)->has_clock);
	world_deinit(&world);
}

TEST(who_waits_when_it_ends_is_told)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	struct world world;

	fake_vcpu_process(100, "web", 5);
	world_init(&world);
	accounts_set(world.accounts, true, true);
	CHECK_EQ(accounts_ask(world.accounts, on_answer, &world), 0);
	world_deinit(&world);
	CHECK_EQ(world.answers, 1);
	CHECK_EQ(world.cancelled, 1);
}

int main(void)
{
	return test_main();
}

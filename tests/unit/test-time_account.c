/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/time_account.h"
#include "test.h"

#define MS 1000000ull

static struct time_account account(struct vcpu_time from, struct vcpu_time to, uint64_t wall_ns)
{
	struct time_account a;

	time_account(&from, &to, wall_ns, &a);
	CHECK_EQ(a.guest_ns + a.user_ns + a.system_ns, a.run_ns);
	return a;
}

TEST(user_time_includes_guest_time)
{
	struct vcpu_time from = { .has_sched = true,
				  .run_ns = 5,
				  .wait_ns = 11,
				  .guest_ns = 10 * MS,
				  .user_ns = 20 * MS };
	struct vcpu_time to = { .has_sched = true,
				.run_ns = 5 + 800 * MS,
				.wait_ns = 11 + 130 * MS,
				.guest_ns = 610 * MS,
				.user_ns = 720 * MS,
				.system_ns = 100 * MS };
	struct time_account a = account(from, to, 1000 * MS);

	CHECK_EQ(a.guest_ns, 600 * MS);
	CHECK_EQ(a.user_ns, 100 * MS);
	CHECK_EQ(a.system_ns, 100 * MS);
	CHECK_EQ(a.wait_ns, 130 * MS);
	CHECK_EQ(a.sleep_ns, 70 * MS);
}

TEST(a_guest_clock_that_is_ahead_does_not_make_time)
{
	struct vcpu_time to = {
		.has_sched = true, .run_ns = 997 * MS, .guest_ns = 1010 * MS, .user_ns = 990 * MS
	};
	struct time_account a = account((struct vcpu_time){ .has_sched = true }, to, 1000 * MS);

	CHECK_EQ(a.guest_ns, 997 * MS);
	CHECK_EQ(a.user_ns, 0);
	CHECK_EQ(a.system_ns, 0);
	CHECK_EQ(a.sleep_ns, 3 * MS);
}

TEST(time_below_a_tick_is_not_lost)
{
	struct vcpu_time to = { .has_sched = true, .run_ns = 1234567, .wait_ns = 1 };
	struct time_account a = account((struct vcpu_time){ .has_sched = true }, to, 1000 * MS);

	CHECK_EQ(a.guest_ns, 0);
	CHECK_EQ(a.system_ns, 1234567);
	CHECK_EQ(a.sleep_ns, 1000 * MS - 1234568);
}

TEST(without_the_scheduler_s_accounts_ticks_are_all_there_is)
{
	struct vcpu_time to = { .guest_ns = 300 * MS, .user_ns = 400 * MS, .system_ns = 50 * MS };
	struct time_account a = account((struct vcpu_time){}, to, 1000 * MS);

	CHECK(!a.has_wait);
	CHECK_EQ(a.run_ns, 450 * MS);
	CHECK_EQ(a.guest_ns, 300 * MS);
	CHECK_EQ(a.user_ns, 100 * MS);
	CHECK_EQ(a.sleep_ns, 550 * MS);
}

TEST(accounts_that_are_late_or_go_back_do_not_wrap)
{
	struct vcpu_time from = {
		.has_sched = true, .run_ns = 10, .wait_ns = 10, .user_ns = 10 * MS
	};
	struct vcpu_time to = {
		.has_sched = true, .run_ns = 10 + 12 * MS, .wait_ns = 3, .user_ns = 0
	};
	struct time_account a = account(from, to, 10 * MS);

	CHECK_EQ(a.run_ns, 12 * MS);
	CHECK_EQ(a.wait_ns, 0);
	CHECK_EQ(a.sleep_ns, 0);
}

TEST(years_of_run_time_do_not_overflow)
{
	uint64_t years = 100ull * 365 * 86400 * 1000000000;
	struct vcpu_time to = {
		.has_sched = true, .run_ns = years, .guest_ns = years / 4, .user_ns = years
	};
	struct time_account a = account((struct vcpu_time){ .has_sched = true }, to, years);

	CHECK_EQ(a.guest_ns, years / 4);
	CHECK_EQ(a.user_ns, years - years / 4);
}

int main(void)
{
	return test_main();
}

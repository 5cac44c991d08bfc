/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/conduct.h"
#include "test.h"

#define SECOND 1000000000ull

TEST(a_guest_that_makes_parsers_fail_has_to_wait)
{
	CHECK(!conduct_is_paused(7));
	for (int i = 0; i < 8; i++)
		(void)conduct_failed(7, "its parser failed"); /* for minutes by now */
	CHECK(conduct_is_paused(7));
	CHECK(!conduct_is_paused(8));
}

TEST(who_took_too_much_time_is_not_asked)
{
	CHECK(conduct_may_ask(7));
	conduct_took(7, SECOND / 2);
	CHECK(conduct_may_ask(7));
	conduct_took(7, 3600 * SECOND);
	CHECK(!conduct_may_ask(7));
	CHECK(conduct_may_ask(8));
}

/* If each of them earned a tenth of all the time since the answer, that would be a minute together. */
TEST(questions_that_are_refused_earn_nothing)
{
	CHECK(conduct_may_ask(7));
	conduct_took(7, 31 * SECOND);
	for (int i = 0; i < 3000; i++) {
		usleep(100);
		CHECK(!conduct_may_ask(7));
	}
}

TEST(of_many_guests_those_of_long_ago_are_forgotten)
{
	for (pid_t guest = 1; guest < 5000; guest++)
		conduct_took(guest, 3600 * SECOND);
	CHECK(!conduct_may_ask(4999));
	CHECK(conduct_may_ask(1));
}

TEST(each_guest_that_fails_is_told_of_once)
{
	CHECK(conduct_failed(21, "one failed"));
	CHECK(conduct_failed(22, "another failed"));
	for (int i = 0; i < 3; i++) {
		CHECK(!conduct_failed(21, "one failed again"));
		CHECK(!conduct_failed(22, "another failed again"));
	}
}

int main(void)
{
	return test_main();
}

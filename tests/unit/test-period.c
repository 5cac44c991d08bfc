/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <time.h>

#include "period.h"
#include "util/macro.h"
#include "test.h"

/* Berlin: summer time ended on 2026-10-25, so that both offsets occur. */
static int64_t at(const char *utc)
{
	struct tm day = {};

	CHECK(strptime(utc, "%Y-%m-%d %H:%M:%S", &day));
	return (int64_t)timegm(&day) * 1000;
}

static int64_t berlin_now(void)
{
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return at("2026-11-20 11:30:00"); /* 12:30 there */
}

TEST(points_in_time_are_understood)
{
	static const struct {
		const char *text, *utc;
	} cases[] = {
		{ "now", "2026-11-20 11:30:00" },
		{ "1h", "2026-11-20 10:30:00" },
		{ "90s", "2026-11-20 11:28:30" },
		{ "1h30m", "2026-11-20 10:00:00" },
		{ "2d", "2026-11-18 11:30:00" },
		{ "1w", "2026-11-13 11:30:00" },
		{ "today", "2026-11-19 23:00:00" },
		{ "yesterday", "2026-11-18 23:00:00" },
		{ "yesterday 10:30", "2026-11-19 09:30:00" },
		{ "today 7:05", "2026-11-20 06:05:00" },
		{ "10:30", "2026-11-20 09:30:00" },
		{ "10:30:05", "2026-11-20 09:30:05" },
		{ "12:30", "2026-11-20 11:30:00" },
		{ "13:00", "2026-11-19 12:00:00" }, /* not today yet */
		{ "2026-11-20", "2026-11-19 23:00:00" },
		{ "2026-11-20 10:00", "2026-11-20 09:00:00" },
		{ "2026-07-01T10:00:01", "2026-07-01 08:00:01" }, /* summer time */
		{ "2026-11-20T10:00:00Z", "2026-11-20 10:00:00" },
		{ "2026-11-20T10:00+01:00", "2026-11-20 09:00:00" },
		{ "2026-11-20 10:00-0330", "2026-11-20 13:30:00" },
		{ "2024-02-29", "2024-02-28 23:00:00" },
		{ "@1763632800", "2025-11-20 10:00:00" },
	};
	int64_t now = berlin_now(), ms;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vpmu_error error = {};

		if (period_point(cases[i].text, now, &ms, &error) < 0)
			FAIL("%s: %s", cases[i].text, error.text);
		if (ms != at(cases[i].utc))
			FAIL("%s: %lld, not %s", cases[i].text, (long long)ms / 1000, cases[i].utc);
	}
}

TEST(nonsense_is_refused_with_examples)
{
	static const char *const cases[] = {
		"", " ", "h", "1", "1x", "-1h", "1h ", "1h2", "h1", "10", "10:", "10:5", "24:00", "10:60", "10:30:61", "1:2:3",
		"tomorrow", "todayish", "yesterday 25:00", "yesterday10:30", "2026", "2026-11", "2026-13-01", "2026-11-31",
		"2026-02-29", "2100-02-29", "2026-11-20 ", "2026-11-20T", "2026-11-20 10", "2026-11-20 10:00 ", "2026-11-20Z",
		"2026-11-20 10:00+1", "2026-11-20 10:00+15:00", "2026-11-20 10:00+01:60", "2026-11-20 10:00z", "20261120",
		"@", "@-1", "@1x", "@99999999999999999999", "99999999999999999999h", "9999999999999h",
	};
	int64_t now = berlin_now();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vpmu_error error = {};
		int64_t ms = 77;

		if (period_point(cases[i], now, &ms, &error) != -EINVAL)
			FAIL("'%s' is taken for %lld", cases[i], (long long)ms);
		CHECK_EQ(ms, 77);
		CHECK_CONTAINS(error.text, "needs a time such as");
	}
}

TEST(a_duration_longer_than_all_time_ends_at_its_beginning)
{
	int64_t ms;

	CHECK_EQ(0, period_point("5000w", berlin_now(), &ms, NULL));
	CHECK_EQ(0, ms);
}

/* ---- what is compared with what ---- */

static void check_base(const char *text, const char *since, const char *until)
{
	int64_t now = berlin_now();
	struct period of = { now - 3600000, now }, base;
	struct vpmu_error error = {};

	if (period_base(text, &of, now, &base, &error) < 0)
		FAIL("%s: %s", text, error.text);
	CHECK_EQ(base.since_ms, at(since));
	CHECK_EQ(base.until_ms, at(until));
}

TEST(the_base_is_as_long_and_earlier)
{
	check_base("1h", "2026-11-20 09:30:00", "2026-11-20 10:30:00");
	check_base("2026-11-01 08:00", "2026-11-01 07:00:00", "2026-11-01 08:00:00");
	check_base("yesterday 08:00", "2026-11-19 07:00:00", "2026-11-19 08:00:00");
	check_base("today", "2026-11-19 23:00:00", "2026-11-20 00:00:00");
	check_base("yesterday", "2026-11-19 10:00:00", "2026-11-19 11:30:00"); /* the hour from 10:00 on is kept as one */
	check_base("1w", "2026-11-13 10:00:00", "2026-11-13 12:00:00");
}

TEST(yesterday_is_the_same_time_of_the_day_when_the_clocks_changed)
{
	int64_t now = (berlin_now(), at("2026-10-25 11:30:00")); /* 12:30, winter time since the night */
	struct period of = { now - 3600000, now }, base;

	CHECK_EQ(0, period_base("yesterday", &of, now, &base, NULL));
	CHECK_EQ(base.since_ms, at("2026-10-24 09:00:00")); /* 11:30 in summer time; of then there are hours */
	CHECK_EQ(base.until_ms, at("2026-10-24 11:00:00"));
	CHECK_EQ(0, period_base("1d", &of, now, &base, NULL));
	CHECK_EQ(base.since_ms, at("2026-10-24 10:00:00")); /* 24 hours */
	CHECK_EQ(base.until_ms, at("2026-10-24 11:30:00")); /* not an hour yet */
}

TEST(a_period_is_not_compared_with_part_of_itself)
{
	int64_t now = berlin_now();
	struct period of = { now - 7200000, now }, base = { 7, 8 };
	struct vpmu_error error = {};

	CHECK_EQ(-EINVAL, period_base("1h", &of, now, &base, &error));
	CHECK_CONTAINS(error.text, "2026-11-20 09:30 to 11:30, which overlaps with 2026-11-20 10:30 to 12:30");
	CHECK_EQ(-EINVAL, period_base("now", &(struct period){ now - 60000, now + 60000 }, now, &base, NULL));
	CHECK_EQ(base.since_ms, 7);
	CHECK_EQ(0, period_base("2h", &of, now, &base, NULL)); /* they touch */
}

TEST(whole_minutes_are_taken_and_told)
{
	int64_t now = berlin_now();
	struct period period = { at("2026-11-20 09:47:01"), at("2026-11-20 09:48:01") };
	_strbuf_ struct strbuf text = {};

	period_whole(&period, now);
	CHECK_EQ(period.since_ms, at("2026-11-20 09:47:00"));
	CHECK_EQ(period.until_ms, at("2026-11-20 09:49:00"));
	period_text(&period, &text);
	CHECK_STR(text.text, "2026-11-20 10:47 to 10:49");
	period_whole(&period, now); /* is already */
	CHECK_EQ(period.since_ms, at("2026-11-20 09:47:00"));
	CHECK_EQ(period.until_ms, at("2026-11-20 09:49:00"));
}

TEST(whole_hours_are_taken_of_what_is_older_than_a_day)
{
	int64_t now = berlin_now();
	struct period old = { at("2026-11-19 08:10:00"), at("2026-11-19 08:20:00") };
	struct period across = { at("2026-11-19 08:10:00"), at("2026-11-19 12:20:30") };

	period_whole(&old, now);
	CHECK_EQ(old.since_ms, at("2026-11-19 08:00:00"));
	CHECK_EQ(old.until_ms, at("2026-11-19 09:00:00"));
	period_whole(&across, now);
	CHECK_EQ(across.since_ms, at("2026-11-19 08:00:00"));
	CHECK_EQ(across.until_ms, at("2026-11-19 12:21:00"));
}

/* At each second of a minute: a period and the one before it are as long as each other, and have no minute in common. */
TEST(no_minute_is_on_both_sides)
{
	static const char *const lengths[] = { "30s", "1m", "90s", "1h" };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (int64_t now = berlin_now(), end = now + 60000; now < end; now += 500) {
			struct period of = { .until_ms = now }, base;

			CHECK_EQ(0, period_point(lengths[i], now, &of.since_ms, NULL));
			if (period_base(lengths[i], &of, now, &base, NULL) < 0)
				FAIL("%s overlaps at second %lld", lengths[i], (long long)(now / 1000 % 60));
			CHECK_EQ(0, base.since_ms % 60000);
			CHECK_EQ(0, of.since_ms % 60000);
			CHECK_EQ(of.until_ms - of.since_ms, base.until_ms - base.since_ms);
			CHECK(base.until_ms <= of.since_ms);
			CHECK(of.until_ms > of.since_ms);
		}
	}
}

TEST(an_hour_that_is_kept_as_one_is_not_compared_with_itself)
{
	int64_t now = berlin_now();
	struct period of = { at("2026-11-10 10:30:00"), at("2026-11-10 11:00:00") }, base;
	struct vpmu_error error = {};

	CHECK_EQ(-EINVAL, period_base("30m", &of, now, &base, &error));
	CHECK_CONTAINS(error.text, "2026-11-10 11:00 to 12:00, which overlaps with 2026-11-10 11:00 to 12:00");
	CHECK_EQ(0, period_base("1h", &of, now, &base, NULL));
}

TEST(periods_are_told_in_local_time)
{
	int64_t now = berlin_now();
	struct period over_night = { now - 86400000, now };
	_strbuf_ struct strbuf text = {};

	period_text(&over_night, &text);
	CHECK_STR(text.text, "2026-11-19 12:30 to 2026-11-20 12:30");
}

int main(void)
{
	return test_main();
}

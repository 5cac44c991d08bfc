/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pattern.h"
#include "test.h"

static const char uuid[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

static bool fits(const char *pattern, const char *name)
{
	return pattern_means(pattern, name, uuid, 400);
}

TEST(names_are_meant_by_themselves_and_by_stars)
{
	static const char *const yes[] = { "web1", "*", "web*", "w?b1", "*1", "*e*1", "**web1**", "?*?" };
	static const char *const no[] = { "", "web", "web12", "WEB1", "?", "web?1", "*2", "x*", "[w]eb1", "web1\\" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!fits(yes[i], "web1"))
			FAIL("'%s' does not mean web1", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (fits(no[i], "web1"))
			FAIL("'%s' means web1", no[i]);
	CHECK(fits("[a]", "[a]"));
	CHECK(fits("a\\*", "a\\b"));
}

TEST(a_uuid_is_meant_in_either_case_and_only_whole)
{
	CHECK(fits("6BA7B810-9dad-11d1-80b4-00c04fd430c8", "web1"));
	CHECK(!fits("6ba7b810*", "web1"));
	CHECK(!pattern_means("", "web1", "", 1));
	CHECK(pattern_means("*", "", "", 0));
}

TEST(a_pid_means_the_process_and_no_name)
{
	CHECK(fits("pid:400", "web1"));
	CHECK(!fits("pid:40", "web1"));
	CHECK(!fits("pid:40*", "web1"));
	CHECK(!fits("pid:7", "pid:7"));
	CHECK(!pattern_means("pid:0", "web1", uuid, 0));
}

/* Exponential in the number of stars for who tries all of them. */
TEST(many_stars_take_no_time)
{
	char name[4096], pattern[256];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i + 2 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + sizeof(pattern) - 2, "b", 2);
	CHECK(!fits(pattern, name));
}

int main(void)
{
	return test_main();
}

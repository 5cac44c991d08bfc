/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/event_table.h"
#include "test.h"

TEST(distance_counts_letters_to_change)
{
	CHECK_EQ(event_name_distance("", ""), 0);
	CHECK_EQ(event_name_distance("cycles", "Cycles"), 0);
	CHECK_EQ(event_name_distance("", "abc"), 3);
	CHECK_EQ(event_name_distance("kitten", "sitting"), 3);
	CHECK_EQ(event_name_distance("abc", "abd"), 1);
}

TEST(the_nearest_come_first_and_three_at_most)
{
	char text[100];

	event_table_near("branch-misse", text, sizeof(text));
	CHECK_EQ(strncmp(text, "branch-misses", 13), 0);
	event_table_near("LLC-load", text, sizeof(text));
	CHECK_EQ(strncmp(text, "LLC-loads", 9), 0);
	event_table_near("q", text, sizeof(text));
	CHECK(!strstr(text, ", ,"));
	event_table_near("cache-misses", text, 8);
	CHECK_STR(text, "cache-m");
}

int main(void)
{
	return test_main();
}

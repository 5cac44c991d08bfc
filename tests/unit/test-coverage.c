/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <vpmu/sample.h>

#include "test.h"
#include "util/macro.h"

TEST(the_line_tells_what_there_is_and_what_is_missing)
{
	struct vpmu_coverage c = {
		.samples = 3000,
		.sides = { [VPMU_SIDE_GUEST_KERNEL] = 2000, [VPMU_SIDE_GUEST_USER] = 500, [VPMU_SIDE_HOST_KERNEL] = 500 },
		.resolved = 2999,
		.lost = 7,
		.source = "cpu-clock 99 Hz",
	};
	char line[512], short_line[10];

	vpmu_coverage_text(&c, line, sizeof(line));
	CHECK_STR(line, "coverage: 3000 samples (guest 2500, host 500), 99.9 % resolved, 0 opaque, 7 lost, 0 throttled; "
			"source cpu-clock 99 Hz");
	vpmu_coverage_text(&c, short_line, sizeof(short_line));
	CHECK_STR(short_line, "coverage:");
}

TEST(each_way_for_a_chain_to_end_is_counted_by_its_name)
{
	for (int end = VPMU_CHAIN_DEPTH; end < VPMU_CHAIN_END_COUNT; end++) {
		struct vpmu_coverage c = { .samples = 10, .guest_chains = 10, .truncated_chains = 3 };
		char line[512], expected[128];

		c.chain_ends[end] = 3;
		vpmu_coverage_text(&c, line, sizeof(line));
		snprintf(expected, sizeof(expected), "10 guest chains, 3 chains cut (%s 3); source unknown",
			 vpmu_chain_end_name((enum vpmu_chain_end)end));
		CHECK_CONTAINS(line, expected);
	}
}

TEST(ways_for_chains_to_end_share_one_pair_of_parentheses)
{
	struct vpmu_coverage c = { .samples = 10, .guest_chains = 10, .truncated_chains = 5 };
	char line[512];

	c.chain_ends[VPMU_CHAIN_NO_MEMORY] = 2;
	c.chain_ends[VPMU_CHAIN_BAD_FRAME] = 3;
	vpmu_coverage_text(&c, line, sizeof(line));
	CHECK_CONTAINS(line, "5 chains cut (no-memory 2, bad-frame 3); source unknown");
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <vpmu/vpmu.h>

#include "profile/profile.h"
#include "test.h"

static struct vpmu_profile *profile_new(void)
{
	struct vpmu_profile *p = NULL;

	CHECK_EQ(vpmu_profile_new(NULL, &p, NULL), 0);
	return p;
}

/* One entry: @samples of @symbol called by @caller in guest @guest. */
static void put(struct vpmu_profile *p, const char *guest, const char *symbol, const char *caller,
		uint64_t samples)
{
	struct profile_frame f = { .dso = profile_put_string(p, "app"),
				   .symbol = profile_put_string(p, symbol),
				   .side = VPMU_SIDE_GUEST_USER };
	struct profile_frame g = f;
	struct profile_entry e = { .side = VPMU_SIDE_GUEST_USER, .samples = samples, .weight = samples * 3 };
	uint32_t stack[2];

	g.symbol = profile_put_string(p, caller);
	stack[0] = e.leaf = profile_put_frame(p, &f);
	stack[1] = profile_put_frame(p, &g);
	e.stack = profile_put_stack(p, stack, 2);
	e.guest = profile_put_guest(p, guest, "");
	e.process = profile_put_string(p, "CPU 0/KVM");
	CHECK_EQ(profile_put(p, &e), 0);
}

TEST(equal_things_are_stored_once)
{
	struct vpmu_profile *p = profile_new();
	struct vpmu_coverage coverage;
	struct profile_view view;

	CHECK_EQ(profile_view(p, &view), -EINVAL);
	for (int i = 0; i < 3; i++) {
		put(p, "vm", "f", "main", 2);
		put(p, "vm", "g", "main", 1);
	}
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_guests, 1);
	CHECK_EQ(view.n_frames, 3);
	CHECK_EQ(view.n_stacks, 2);
	CHECK_EQ(view.n_entries, 2);
	CHECK_EQ(view.entries[0].samples, 6);
	CHECK_EQ(view.entries[0].weight, 18);
	vpmu_profile_coverage(p, &coverage);
	CHECK_EQ(coverage.samples, 9);
	CHECK_EQ(vpmu_coverage_guest(&coverage), 9);
	CHECK_EQ(coverage.resolved, 9);
	CHECK(!vpmu_profile_free(p));
}

TEST(many_entries_keep_their_counts)
{
	struct vpmu_profile *p = profile_new();
	struct profile_view view;
	char name[16];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 5000; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			put(p, "vm", name, "main", (uint64_t)i);
		}
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_entries, 5000);
	for (size_t i = 0; i < 5000; i++)
		CHECK_EQ(view.entries[i].samples, 2 * i);
	vpmu_profile_free(p);
}

TEST(merge_matches_by_names)
{
	struct vpmu_profile *a = profile_new(), *b = profile_new(), *sum = profile_new();
	struct vpmu_coverage coverage;
	struct profile_view view;

	put(a, "vm1", "f", "main", 2);
	put(b, "vm2", "g", "main", 10);
	put(b, "vm2", "f", "main", 20);
	put(b, "vm1", "f", "main", 30);
	CHECK_EQ(vpmu_profile_merge(sum, a, NULL), 0);
	CHECK_EQ(vpmu_profile_merge(sum, b, NULL), 0);
	vpmu_profile_free(a);
	vpmu_profile_free(b);
	CHECK_EQ(profile_view(sum, &view), 0);
	CHECK_EQ(view.n_entries, 3);
	CHECK_EQ(view.n_stacks, 2);
	CHECK_EQ(view.entries[0].samples, 32);
	CHECK_STR(intern_string(view.strings, view.guests[view.entries[1].guest].name), "vm2");
	CHECK_STR(intern_string(view.strings, view.frames[view.entries[1].leaf].symbol), "g");
	CHECK_EQ(view.entries[2].weight, 60);
	vpmu_profile_coverage(sum, &coverage);
	CHECK_EQ(coverage.samples, 62);
	vpmu_profile_free(sum);
}

TEST(merge_refuses_what_is_not_resolved_and_itself)
{
	struct vpmu_profile *a = profile_new(), *b = profile_new();
	struct vpmu_error error;

	put(a, "vm", "f", "main", 1);
	CHECK_EQ(vpmu_profile_merge(a, b, &error), -EINVAL);
	CHECK_EQ(vpmu_profile_merge(a, a, &error), -EINVAL);
	vpmu_profile_free(a);
	vpmu_profile_free(b);
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unwind tables out of a made-up guest. (Of real ones: tests/lab/introspect/sleepers.c.) */
#include <errno.h>

#include "orc_guest.h"

static const struct orc_rule rules[] = {{0, 8, ORC_SP}, {0x100, 24, ORC_SP}, {0x200, 0, ORC_OUTERMOST}};

static struct kernel_orc *load(struct vpmu_kernel *kernel)
{
	struct kernel_orc *orc;
	struct vpmu_error error;

	CHECK_EQ(kernel_orc_load(kernel, &orc, &error), 0);
	return orc;
}

static const uint8_t *find(struct kernel_orc *orc, uint64_t ip)
{
	const struct orc_kernel *view = kernel_orc_view(orc);

	return view->find(ip, view->data);
}

TEST(a_kernels_tables_are_read)
{
	int fd;
	struct vpmu_kernel *kernel = orc_guest_open(rules, 3, &fd);
	struct kernel_orc *orc = load(kernel);

	CHECK_EQ(kernel_orc_view(orc)->layout, ORC_LAYOUT_4_14);
	CHECK(kernel_orc_view(orc)->adds_after);
	CHECK_EQ(find(orc, ORC_CODE_GVA)[0], 8);
	CHECK_EQ(find(orc, ORC_CODE_GVA + 0x1ff)[0], 24);
	CHECK(!kernel_orc_missed(orc));
	CHECK(!find(orc, ORC_CODE_GVA + ORC_CODE_BYTES));
	CHECK(kernel_orc_missed(orc)); /* a module's, perhaps */
	CHECK_EQ(kernel_orc_look_again(orc, kernel, NULL), 0);
	kernel_orc_free(orc);
	vpmu_kernel_free(kernel);
	close(fd);
}

TEST(guests_with_the_same_kernel_share_its_tables_and_others_do_not)
{
	static const struct orc_rule other_rules[] = {{0, 8, ORC_SP}, {0x100, 32, ORC_SP}, {0x200, 0, ORC_OUTERMOST}};
	int fds[3];
	struct vpmu_kernel *kernels[3] = {orc_guest_open(rules, 3, &fds[0]), orc_guest_open(rules, 3, &fds[1]),
					  orc_guest_open(other_rules, 3, &fds[2])};
	struct kernel_orc *orcs[3];

	for (int i = 0; i < 3; i++)
		orcs[i] = load(kernels[i]);
	CHECK(find(orcs[0], ORC_CODE_GVA) == find(orcs[1], ORC_CODE_GVA));
	CHECK(find(orcs[0], ORC_CODE_GVA) != find(orcs[2], ORC_CODE_GVA));
	kernel_orc_free(orcs[0]);
	CHECK_EQ(find(orcs[1], ORC_CODE_GVA + 0x100)[0], 24);
	CHECK_EQ(find(orcs[2], ORC_CODE_GVA + 0x100)[0], 32);
	for (int i = 0; i < 3; i++) {
		if (i)
			kernel_orc_free(orcs[i]);
		vpmu_kernel_free(kernels[i]);
		close(fds[i]);
	}
}

TEST(kernels_without_tables_and_tables_without_sense_are_told_apart)
{
	static const struct orc_rule unsorted[] = {{0x100, 8, ORC_SP}, {0, 24, ORC_SP}};
	struct kernel_orc *orc = NULL;
	struct vpmu_kernel *kernel;
	struct vpmu_error error;
	int fd;

	kernel = orc_guest_open(rules, 0, &fd);
	CHECK_EQ(kernel_orc_load(kernel, &orc, &error), -ENODATA);
	CHECK_CONTAINS(error.text, "6.1.0-made has no unwind tables");
	vpmu_kernel_free(kernel);
	close(fd);
	kernel = orc_guest_open(unsorted, 2, &fd);
	CHECK_EQ(kernel_orc_load(kernel, &orc, &error), -EOPNOTSUPP);
	CHECK_CONTAINS(error.text, "cannot be read");
	CHECK(!orc);
	vpmu_kernel_free(kernel);
	close(fd);
}

int main(void)
{
	return test_main();
}

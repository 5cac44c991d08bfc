/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "guest/linux_image.h"
#include "guest_maker.h"

static int accept_any(const struct linux_image *image, void *data)
{
	*(struct linux_image *)data = *image;
	return 0;
}

static int refuse(const struct linux_image *image, void *data)
{
	(void)image;
	++*(unsigned int *)data;
	return -ENOENT;
}

static struct memory *ram_open(void)
{
	struct memory *memory;
	struct vpmu_error error;
	int fd;

	CHECK_EQ(memory_of_file(guest_write(&fd), &memory, &error), 0);
	close(fd);
	return memory;
}

TEST(a_root_leads_to_the_kernel_with_4_and_5_levels)
{
	uint64_t root = MADE_TEXT_GPA + MADE_ROOT_AT;

	for (unsigned int levels = 4; levels <= 5; levels++) {
		/* Outside of memory; a page of nothing; with a process-context number and bit 63. */
		uint64_t cr3[] = {0xfffffff000, 0x5000, root | 0x7 | 1ull << 63};
		struct linux_image image = {};
		struct memory *memory;

		guest_make(&kallsyms_forms[2], levels);
		memory = ram_open();
		CHECK_EQ(linux_image_try_roots(memory, cr3, 2, accept_any, &image), -ENOENT);
		CHECK_EQ(linux_image_try_roots(memory, cr3, 3, accept_any, &image), 0);
		CHECK_EQ(image.text_gva, MADE_TEXT_GVA);
		CHECK_EQ(image.text_gpa, MADE_TEXT_GPA);
		CHECK_EQ(image.n_bytes, 6 << 20);
		CHECK_EQ(linux_image_check(memory, &image), 0);
		memory_free(memory);
	}
}

TEST(the_user_half_of_an_isolated_root_does_too)
{
	uint64_t kernel_half = 0x200000, cr3 = kernel_half + 0x1000;
	struct linux_image image = {};
	struct memory *memory;

	guest_make(&kallsyms_forms[2], 4);
	ram_put(kernel_half + 511 * 8, MADE_LEVEL3_GPA | TABLE_ENTRY);
	memory = ram_open();
	CHECK_EQ(linux_image_try_roots(memory, &cr3, 1, accept_any, &image), 0);
	CHECK_EQ(image.text_gpa, MADE_TEXT_GPA);
	memory_free(memory);
}

TEST(memory_full_of_kernels_is_given_up_on)
{
	unsigned int tries = 0;
	struct memory *memory;

	guest_make(&kallsyms_forms[2], 4);
	/* Many tables of which each leads to the same kernel. */
	for (uint64_t gpa = 0x400000; gpa < 0x800000; gpa += 0x2000) {
		ram_put(gpa + 510 * 8, MADE_LEVEL2_GPA | TABLE_ENTRY);
		ram_put(gpa + 511 * 8, MADE_FIXMAP_GPA | TABLE_ENTRY);
		ram_put(gpa + 0x1000 + 511 * 8, gpa | TABLE_ENTRY);
	}
	memory = ram_open();
	CHECK_EQ(linux_image_find(memory, refuse, &tries), -ENOENT);
	CHECK(tries > 1 && tries <= 16);
	memory_free(memory);
}

int main(void)
{
	return test_main();
}

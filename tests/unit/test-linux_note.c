/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <vpmu/introspect.h>

#include "guest/linux_note.h"
#include "guest_maker.h"

#define NOTE_GPA  0x400000ull
#define SMALL_GPA 0x500000ull /* three tables of 4 KiB pages */

/* A kernel that has all of itself in small pages, as none does that linux_image_find() knows. */
static void split_pages(void)
{
	uint64_t first = (MADE_TEXT_GVA & 0x3fffffff) >> 21;

	for (uint64_t i = 0; i < 3; i++) {
		for (uint64_t page = 0; page < 512; page++)
			ram_put(SMALL_GPA + i * 4096 + page * 8, (MADE_TEXT_GPA + (i << 21) + page * 4096) | TABLE_ENTRY);
		ram_put(MADE_LEVEL2_GPA + (first + i) * 8, (SMALL_GPA + i * 4096) | TABLE_ENTRY);
	}
}

static void put_note(uint64_t gpa, uint64_t stext, unsigned int levels)
{
	uint32_t head[] = {11, 0, 0};
	int n = sprintf((char *)ram + gpa + 24,
			"OSRELEASE=6.1.0-made\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=%llx\nSYMBOL(_stext)=%llx\n"
			"NUMBER(phys_base)=%lld\nNUMBER(pgtable_l5_enabled)=%d\n",
			MADE_TEXT_GVA + MADE_ROOT_AT, (unsigned long long)stext,
			(long long)MADE_TEXT_GPA - (long long)(MADE_TEXT_GVA - KERNEL_WINDOW), levels == 5);

	head[1] = (uint32_t)n;
	memcpy(ram + gpa, head, sizeof(head));
	memcpy(ram + gpa + 12, "VMCOREINFO\0", 12);
}

static int open_made(struct vpmu_kernel **ret_kernel)
{
	VPMU_OPTS(vpmu_kernel_opts, opts);
	int fd, r;

	opts.memory_path = guest_write(&fd);
	r = vpmu_kernel_open(NULL, &opts, ret_kernel, NULL);
	close(fd);
	return r;
}

static int count_symbol(const struct vpmu_kernel_symbol *symbol, void *data)
{
	(void)symbol;
	++*(uint32_t *)data;
	return 0;
}

TEST(a_kernel_in_small_pages_is_found_by_its_note)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		struct vpmu_kernel *kernel;
		uint32_t n = 0;

		guest_make(&kallsyms_forms[2], levels);
		split_pages();
		CHECK_EQ(open_made(&kernel), -ENOENT);
		put_note(NOTE_GPA, MADE_TEXT_GVA, levels);
		CHECK_EQ(open_made(&kernel), 0);
		CHECK_EQ(vpmu_kernel_info(kernel)->text_gva, MADE_TEXT_GVA);
		CHECK_EQ(vpmu_kernel_info(kernel)->text_gpa, MADE_TEXT_GPA);
		CHECK_EQ(vpmu_kernel_info(kernel)->paging_levels, levels);
		/* It is still the same one at the next look. */
		CHECK_EQ(vpmu_kernel_each_symbol(kernel, count_symbol, &n, NULL), 0);
		CHECK(n > KALLSYMS_MADE);
		vpmu_kernel_free(kernel);
	}
}

TEST(notes_that_are_not_this_boots_do_not_count)
{
	struct vpmu_kernel *kernel;

	guest_make(&kallsyms_forms[2], 4);
	split_pages();
	put_note(NOTE_GPA, MADE_TEXT_GVA + (64 << 20), 4);
	put_note(NOTE_GPA + 0x2000, MADE_TEXT_GVA, 5);
	put_note(NOTE_GPA + 0x4000, 0x1000, 4);
	CHECK_EQ(open_made(&kernel), -ENOENT);
	put_note(NOTE_GPA + 0x8000, MADE_TEXT_GVA, 4);
	CHECK_EQ(open_made(&kernel), 0);
	vpmu_kernel_free(kernel);
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/mman.h>

#include "guest/paging.h"
#include "test.h"
#include "util/io.h"

#define RAM_BYTES (4u << 20)
#define ROOT	  0x1000ull
#define PRESENT	  0x63ull
#define LARGE	  0xe3ull

static uint8_t ram[RAM_BYTES];

static void put(uint64_t gpa, uint64_t value)
{
	memcpy(ram + gpa, &value, 8);
}

static struct memory *ram_open(void)
{
	int fd = memfd_create("ram", 0);
	struct memory *memory;
	struct vpmu_error error;
	char path[64];

	CHECK(fd >= 0);
	CHECK_EQ(io_pwrite_all(fd, ram, sizeof(ram), 0), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_EQ(memory_of_file(path, &memory, &error), 0);
	close(fd);
	return memory;
}

/* Tables for the page of @gva at 0x2000, 0x3000, … below the root; the last entry is at *ret_last.
 */
static void map(unsigned int levels, uint64_t gva, unsigned int last_level, uint64_t last_entry)
{
	uint64_t table = ROOT;

	for (unsigned int level = levels; level >= last_level; level--) {
		uint64_t slot = table + (gva >> (12 + 9 * (level - 1)) & 511) * 8;

		put(slot, level == last_level ? last_entry : (table + 0x1000) | PRESENT);
		table += 0x1000;
	}
}

TEST(small_and_large_pages_with_4_and_5_levels)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		struct paging paging = {.root_gpa = ROOT, .levels = levels};
		struct translation t;
		struct memory *memory;

		memset(ram, 0, sizeof(ram));
		map(levels, 0xffff888012345000, 1,
		    0x8000000000123000 | PRESENT); /* no-execute is none of the address */
		memory = ram_open();
		CHECK_EQ(paging_walk(memory, &paging, 0xffff888012345678, &t), 0);
		CHECK_EQ(t.gpa, 0x123678);
		CHECK_EQ(t.left_bytes, 0x988);
		CHECK_EQ(paging_walk(memory, &paging, 0xffff888012346000, &t), -EFAULT);
		memory_free(memory);

		memset(ram, 0, sizeof(ram));
		map(levels, 0xffffffff81000000, 2,
		    0x201000 | LARGE); /* bit 12 of a large page is not part of the address */
		memory = ram_open();
		CHECK_EQ(paging_walk(memory, &paging, 0xffffffff8101f123, &t), 0);
		CHECK_EQ(t.gpa, 0x21f123);
		CHECK_EQ(t.left_bytes, 0x200000 - 0x1f123);
		memory_free(memory);

		memset(ram, 0, sizeof(ram));
		map(levels, 0x40000000, 3, 0x80000000 | LARGE);
		memory = ram_open();
		CHECK_EQ(paging_walk(memory, &paging, 0x40000007, &t), 0);
		CHECK_EQ(t.gpa, 0x80000007);
		memory_free(memory);
	}
}

TEST(reads_cross_pages_that_are_not_neighbours)
{
	struct paging paging = {.root_gpa = ROOT, .levels = 4};
	struct memory *memory;
	char text[32];

	memset(ram, 0, sizeof(ram));
	map(4, 0x7000, 1, 0x100000 | PRESENT);
	map(4, 0x8000, 1, 0x90000 | PRESENT);
	memcpy(ram + 0x100ffa, "across", 6);
	strcpy((char *)ram + 0x90000, " pages");
	memory = ram_open();
	CHECK_EQ(paging_read(memory, &paging, 0x7ffa, text, 13), 0);
	CHECK_STR(text, "across pages");
	CHECK_EQ(paging_read_large(memory, &paging, 0x7ffa, text, 13), 0);
	CHECK_STR(text, "across pages");
	CHECK_EQ(paging_read_string(memory, &paging, 0x7ffa, text, sizeof(text)), 12);
	CHECK_EQ(paging_read_string(memory, &paging, 0x7ffa, text, 9), 8);
	CHECK_STR(text, "across p");
	CHECK_EQ(paging_read(memory, &paging, 0x8ff8, text, 16), -EFAULT);
	memory_free(memory);
}

TEST(what_is_not_there_is_a_fault)
{
	struct paging paging = {.root_gpa = ROOT, .levels = 4};
	struct translation t = {.gpa = 77};
	struct memory *memory;

	memset(ram, 0, sizeof(ram));
	map(4, 0x7000, 1,
	    0xfffff000 | PRESENT); /* outside of memory: the walk is right, reading is not */
	map(4, 0x600000, 2, 0xfffff000 | PRESENT);
	put(ROOT + 8 * 3, LARGE);	   /* a page of 512 GiB */
	put(ROOT + 8 * 5, ROOT | PRESENT); /* leads to itself */
	memory = ram_open();
	CHECK_EQ(paging_read(memory, &paging, 0x7000, &t, 8), -EFAULT);
	CHECK_EQ(paging_walk(memory, &paging, 0x600000, &t), -EFAULT);
	CHECK_EQ(paging_walk(memory, &paging, 3ull << 39, &t), -EFAULT);
	CHECK_EQ(
		paging_walk(memory, &paging, 5ull << 39 | 5ull << 30 | 5ull << 21 | 5ull << 12, &t),
		0);
	CHECK_EQ(t.gpa, ROOT);
	CHECK_EQ(paging_walk(memory, &paging, 0x0000800000000000, &t), -EFAULT); /* not canonical */
	paging.levels = 0;
	CHECK_EQ(paging_walk(memory, &paging, 0x7000, &t), -EFAULT);
	memory_free(memory);
}

int main(void)
{
	return test_main();
}

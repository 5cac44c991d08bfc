/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "guest/memory.h"
#include "test.h"

#define GIB (1ull << 30)

static struct memory_layout layouts[MEMORY_LAYOUTS_MAX];

/* What is guessed from a /proc/7/maps of this text. */
static int guess(const char *maps)
{
	char dir[] = "/tmp/vpmu-test.XXXXXX", path[64];
	FILE *f;
	int n;

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/7", dir);
	CHECK_EQ(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/7/maps", dir);
	f = fopen(path, "w");
	CHECK(f);
	fputs(maps, f);
	fclose(f);
	n = memory_layouts_guess(dir, 7, layouts);
	unlink(path);
	snprintf(path, sizeof(path), "%s/7", dir);
	rmdir(path);
	rmdir(dir);
	return n;
}

TEST(the_largest_mapping_that_is_data_comes_first)
{
	CHECK_EQ(
		guess("55d000000000-55d000800000 r-xp 00000000 fe:00 1 /usr/bin/qemu-system-x86_64\n"
		      "55d100000000-55d190000000 rw-p 00000000 00:00 0 [heap]\n"
		      "7f0000000000-7f0001000000 rw-p 00000000 00:00 0 \n"
		      "7f1000000000-7f1020000000 rw-p 00000000 00:00 0 \n"
		      "7f2000000000-7f2040000000 rwxp 00000000 00:00 0 \n"
		      "7f3000000000-7f3000021000 rw-p 00000000 00:00 0 \n"),
		2);
	CHECK_EQ(layouts[0].n_segments, 1);
	CHECK_EQ(layouts[0].segments[0].at, 0x7f1000000000);
	CHECK_EQ(layouts[0].segments[0].n_bytes, GIB / 2);
	CHECK_EQ(layouts[1].segments[0].n_bytes, 16 << 20);
}

TEST(large_memory_goes_on_at_4_gib)
{
	/* 8 GiB in a memfd: cut at 3 GiB (pc), at 2 GiB (q35), at 3.5 GiB (pc of old) */
	CHECK_EQ(
		guess("7f1000000000-7f1200000000 rw-s 00000000 00:01 7 /memfd:memory-backend-memfd (deleted)\n"),
		3);
	CHECK_EQ(layouts[0].n_segments, 2);
	CHECK_EQ(layouts[0].segments[0].n_bytes, 3 * GIB);
	CHECK_EQ(layouts[0].segments[1].gpa, 4 * GIB);
	CHECK_EQ(layouts[0].segments[1].n_bytes, 5 * GIB);
	CHECK_EQ(layouts[0].segments[1].at, 0x7f1000000000 + 3 * GIB);
	CHECK_EQ(layouts[1].segments[0].n_bytes, 2 * GIB);
	CHECK_EQ(layouts[2].segments[0].n_bytes, 3 * GIB + GIB / 2);
}

TEST(mappings_of_terabytes_are_something_else)
{
	CHECK_EQ(guess("100000000000-7f0000000000 rw-p 00000000 00:00 0 \n"
		       "7f1000000000-7f1020000000 rw-p 00000000 00:00 0 \n"),
		 1);
	CHECK_EQ(layouts[0].segments[0].at, 0x7f1000000000);
}

TEST(no_memory_no_guess)
{
	CHECK_EQ(guess("7f3000000000-7f3000021000 rw-p 00000000 00:00 0 \n"), 0);
	CHECK_EQ(memory_layouts_guess("/nonexistent", 7, layouts), -ENOENT);
}

int main(void)
{
	return test_main();
}

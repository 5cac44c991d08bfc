/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/mman.h>

#include "format/proc_maps.h"
#include "test.h"
#include "util/io.h"
#include "util/strbuf.h"

static int print_line(const struct proc_maps_line *line, void *data)
{
	strbuf_addf(data, "%" PRIx64 "-%" PRIx64 " %d%c %" PRIx64 " %x:%x %" PRIu64 " '%.*s'\n",
		    line->start, line->end, line->prot, line->shared, line->offset_bytes,
		    line->major, line->minor, line->inode, (int)line->path_bytes, line->path);
	return 0;
}

static void check_maps(const char *text, const char *want, uint64_t want_bad)
{
	_strbuf_ struct strbuf out = {};
	char *exact = strndup(text, strlen(text));
	uint64_t bad;

	strbuf_adds(&out, "");
	CHECK_EQ(proc_maps_parse(exact, strlen(exact), print_line, &out, &bad), 0);
	CHECK_STR(out.text, want);
	CHECK_EQ(bad, want_bad);
	free(exact);
}

TEST(mappings_with_and_without_path_are_read)
{
	check_maps(
		"00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/dbus-daemon\n"
		"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
		"7f0000002000-7f0000003000 ---s 00000000 00:05 9   /dev/zero (deleted)\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
		"400000-452000 5p 1000 8:2 173521 '/usr/bin/dbus-daemon'\n"
		"7f0000000000-7f0000001000 3p 0 0:0 0 ''\n"
		"7f0000002000-7f0000003000 0s 0 0:5 9 '/dev/zero (deleted)'\n"
		"ffffffffff600000-ffffffffff601000 4p 0 0:0 0 '[vsyscall]'\n",
		0);
}

TEST(lines_that_are_none_are_counted_and_passed_over)
{
	check_maps("\n"
		   "400000-300000 r-xp 0 08:02 1 /backwards\n"
		   "400000-500000 q-xp 0 08:02 1 /no-prot\n"
		   "400000-500000 r-xp 0 08:02 1x /no-inode\n"
		   "400000-500000 r-xp 0 123456789:02 1 /no-device\n"
		   "400000-500000 r-x\n"
		   "400000-500000\n"
		   "1-2 r--p 0 0:0 0\n",
		   "1-2 1p 0 0:0 0 ''\n", 7);
}

static int find_here(const struct proc_maps_line *line, void *data)
{
	uintptr_t here = (uintptr_t)find_here;

	if (here < line->start || here >= line->end)
		return 0;
	CHECK(line->prot & PROT_EXEC);
	CHECK(line->path_bytes > strlen("test-proc_maps"));
	*(bool *)data = true;
	return 1;
}

TEST(this_process_finds_itself)
{
	bool found = false;
	uint64_t bad;
	char *text;
	size_t n;

	if (io_read_file(AT_FDCWD, "/proc/self/maps", 1 << 20, &text, &n) < 0)
		skip("/proc/self/maps cannot be read");
	CHECK_EQ(proc_maps_parse(text, n, find_here, &found, &bad), 1);
	CHECK(found);
	CHECK_EQ(bad, 0);
	free(text);
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <vpmu/vpmu.h>

#include "test.h"
#include "util/cursor.h"
#include "util/error.h"
#include "util/intern.h"
#include "util/io.h"
#include "util/strbuf.h"
#include "util/vec.h"

TEST(cursor_reads_in_order_and_stops_at_the_end)
{
	const uint8_t bytes[] = { 1, 2, 0, 0, 0, 'h', 'i', 0, 9 };
	struct cursor c = cursor_of(bytes, sizeof(bytes));

	CHECK_EQ(cursor_u8(&c), 1);
	CHECK_EQ(cursor_u32(&c), 2);
	CHECK_STR(cursor_string(&c, 3), "hi");
	CHECK(!c.failed);
	CHECK_EQ(cursor_u16(&c), 0);
	CHECK(c.failed);
	CHECK_EQ(cursor_left(&c), 0);
	CHECK(!cursor_bytes(&c, UINT64_MAX));
}

TEST(cursor_refuses_a_string_without_its_nul)
{
	struct cursor c = cursor_of("abcd", 4);

	CHECK(!cursor_string(&c, 4));
	CHECK(c.failed);
}

TEST(intern_gives_equal_strings_equal_numbers)
{
	struct intern *pool = intern_new();
	char name[16];

	CHECK_EQ(intern_add(pool, ""), 0);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 10000; i++) {
			snprintf(name, sizeof(name), "sym%d", i);
			CHECK_EQ(intern_add(pool, name), i + 1);
		}
	CHECK_STR(intern_string(pool, 77), "sym76");
	CHECK_EQ(intern_count(pool), 10001);
	CHECK(!intern_free(pool));
}

TEST(strbuf_appends_numbers_and_text)
{
	_strbuf_ struct strbuf b = {};

	strbuf_add_u64(&b, 0);
	strbuf_addc(&b, ' ');
	strbuf_add_u64(&b, UINT64_MAX);
	strbuf_addf(&b, " %s ", "x");
	strbuf_add_hex(&b, 0xffffffff81000000);
	CHECK_STR(b.text, "0 18446744073709551615 x ffffffff81000000");
	CHECK(!b.failed);
}

TEST(an_error_is_one_printable_line)
{
	struct vpmu_error error = {};

	CHECK_EQ(error_set(&error, -ENOENT, "no guest '%s'", "a\nb\x1b[1m"), -ENOENT);
	CHECK_STR(error.text, "no guest 'a?b?[1m'");
	CHECK_EQ(error_set(NULL, -EIO, "unseen"), -EIO);
}

TEST(vec_refuses_what_would_overflow)
{
	VEC(uint64_t) v = {};

	CHECK(vec_push(&v, 7));
	CHECK(!vec_reserve(&v, SIZE_MAX / 2));
	CHECK_EQ(v.items[0], 7);
	vec_free(&v);
}

TEST(read_file_reads_proc_and_keeps_to_its_limit)
{
	char *text;
	size_t n;

	CHECK_EQ(io_read_file(AT_FDCWD, "/proc/self/stat", 1 << 16, &text, &n), 0);
	CHECK_EQ(strlen(text), n);
	free(text);
	CHECK_EQ(io_read_file(AT_FDCWD, "/proc/self/maps", 16, &text, &n), -EFBIG);
	CHECK_EQ(io_read_file(AT_FDCWD, "/nonexistent", 16, &text, &n), -ENOENT);
}

TEST(names_of_enums_are_total)
{
	CHECK_STR(vpmu_side_name(VPMU_SIDE_GUEST_USER), "guest-user");
	CHECK_STR(vpmu_side_name((enum vpmu_side)99), "unknown");
	CHECK_STR(vpmu_frame_status_name(VPMU_FRAME_HIDDEN), "hidden");
	CHECK_STR(vpmu_key_name(VPMU_KEY_LINE), "line");
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/stat.h>

#include "host/tracing_data.h"
#include "test.h"
#include "util/cursor.h"
#include "util/io.h"

static char root[64];
static const char *const directories[] = {"events", "events/kvm", "events/kvm/kvm_pio"};
static const char *const files[] = {"events/header_page", "events/header_event",
				    "events/kvm/kvm_pio/format"};
static const char *const texts[] = {"page\n", "event\n", "name: kvm_pio\n"};

static const char *in_root(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static void make_tracefs(void)
{
	strcpy(root, "tracing-test-XXXXXX");
	CHECK(mkdtemp(root));
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		CHECK_EQ(mkdir(in_root(directories[i]), 0700), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		CHECK_EQ(io_write_file_atomic(in_root(files[i]), texts[i], strlen(texts[i]), 0600),
			 0);
}

static void remove_tracefs(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(in_root(files[i]));
	for (size_t i = ARRAY_SIZE(directories); i-- > 0;)
		rmdir(in_root(directories[i]));
	CHECK_EQ(rmdir(root), 0);
}

static void expect(struct cursor *c, const char *text)
{
	uint64_t n = cursor_u64(c);
	const char *bytes = cursor_bytes(c, n);

	CHECK_EQ(n, strlen(text));
	CHECK(bytes && memcmp(bytes, text, n) == 0);
}

TEST(formats_are_packed_as_perf_expects_them)
{
	const char *names[] = {"kvm:kvm_pio", "kvm:kvm_pio:u"};
	_strbuf_ struct strbuf out = {};
	struct cursor c;

	make_tracefs();
	CHECK_EQ(tracing_data_make(root, names, 2, &out), 0);
	remove_tracefs();
	c = cursor_of(out.text, out.n);
	CHECK(memcmp(cursor_bytes(&c, 10), "\x17\x08\x44tracing", 10) == 0);
	CHECK_STR(cursor_string(&c, 4), "0.6");
	CHECK_EQ(cursor_u8(&c), __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	CHECK_EQ(cursor_u8(&c), sizeof(long));
	CHECK_EQ(cursor_u32(&c), sysconf(_SC_PAGESIZE));
	CHECK_STR(cursor_string(&c, 12), "header_page");
	expect(&c, texts[0]);
	CHECK_STR(cursor_string(&c, 13), "header_event");
	expect(&c, texts[1]);
	CHECK_EQ(cursor_u32(&c), 0);
	CHECK_EQ(cursor_u32(&c), 2);
	for (int i = 0; i < 2; i++) {
		CHECK_STR(cursor_string(&c, 4), "kvm");
		CHECK_EQ(cursor_u32(&c), 1);
		expect(&c, texts[2]);
	}
	CHECK_EQ(cursor_left(&c), 16);
}

TEST(a_tracepoint_that_is_not_there_is_refused)
{
	const char *unknown[] = {"kvm:kvm_nothing"}, *no_tracepoint[] = {"cpu-clock"};
	_strbuf_ struct strbuf out = {};

	make_tracefs();
	CHECK_EQ(tracing_data_make(root, unknown, 1, &out), -ENOENT);
	CHECK_EQ(tracing_data_make(root, no_tracepoint, 1, &out), -EINVAL);
	remove_tracefs();
	CHECK_EQ(tracing_data_make(root, unknown, 1, &out), -ENOENT);
}

int main(void)
{
	return test_main();
}

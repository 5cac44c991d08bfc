/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "format/perf_data.h"
#include "test.h"
#include "util/macro.h"
#include "util/strbuf.h"

#define ATTR_SIZE (sizeof(struct perf_event_attr) + 16)
#define DATA_AT	  (104 + ATTR_SIZE)

/* Bytes in memory as a file, or as a pipe: one that refuses to go back, and does not know its size. */
struct bytes {
	const char *bytes;
	size_t n;
	bool is_pipe;
	uint64_t at;
};

static ssize_t read_bytes(void *data, void *to, size_t n, uint64_t offset)
{
	struct bytes *b = data;

	if (b->is_pipe && offset != b->at)
		return -ESPIPE;
	if (offset >= b->n)
		return 0;
	n = MIN(n, b->n - offset);
	memcpy(to, b->bytes + offset, n);
	b->at = offset + n;
	return (ssize_t)n;
}

static int open_bytes(struct bytes *b, struct perf_data **ret, struct vpmu_error *error)
{
	struct perf_data_source source = { .data = b, .read_at = read_bytes, .size_bytes = b->n };

	if (b->is_pipe)
		source.size_bytes = UINT64_MAX;
	return perf_data_open(&source, ret, error);
}

static void add_u64(struct strbuf *out, uint64_t value)
{
	strbuf_add(out, (const char *)&value, sizeof(value));
}

static const struct perf_event_attr clock_attr = {
	.type = PERF_TYPE_SOFTWARE, .size = sizeof(clock_attr), .config = PERF_COUNT_SW_CPU_CLOCK,
	.sample_type = PERF_SAMPLE_IP,
};

/* The head of a file with one event without ids. */
static void add_head(struct strbuf *out, uint64_t data_bytes)
{
	strbuf_adds(out, "PERFILE2");
	add_u64(out, 104);
	add_u64(out, ATTR_SIZE);
	add_u64(out, 104); /* attrs */
	add_u64(out, ATTR_SIZE);
	add_u64(out, DATA_AT);
	add_u64(out, data_bytes);
	for (int i = 0; i < 6; i++)
		add_u64(out, 0); /* event types, features */
	strbuf_add(out, (const char *)&clock_attr, sizeof(clock_attr));
	add_u64(out, 0);
	add_u64(out, 0);
}

static void add_record(struct strbuf *out, uint32_t type, size_t bytes, uint64_t word)
{
	struct perf_event_header header = { .type = type, .size = (uint16_t)bytes };
	char body[65536] = {};

	memcpy(body, &word, sizeof(word));
	strbuf_add(out, (const char *)&header, sizeof(header));
	strbuf_add(out, body, bytes - sizeof(header));
}

static uint64_t word_of(const struct perf_event_header *record)
{
	CHECK_EQ((uintptr_t)record % 8, 0);
	return *(const uint64_t *)(record + 1);
}

TEST(records_come_in_order_whatever_their_size)
{
	/* Large ones lie across the ends of the reader's buffer; odd ones leave their followers unaligned. */
	const size_t sizes[] = { 16, 24, 65528, 17, 4001, 65535, 16 };
	_strbuf_ struct strbuf file = {};
	const struct perf_event_header *record;
	struct perf_data *data;
	uint64_t n = 0, offset = DATA_AT;

	add_head(&file, 64 << 20);
	while (file.n < 2 << 20)
		add_record(&file, PERF_RECORD_SAMPLE, sizes[n % ARRAY_SIZE(sizes)], n), n++;
	memcpy(file.text + 48, &(uint64_t){ file.n - DATA_AT }, 8);
	struct bytes b = { .bytes = file.text, .n = file.n };

	CHECK_EQ(open_bytes(&b, &data, NULL), 0);
	for (int walk = 0; walk < 2; walk++) {
		offset = DATA_AT;
		for (uint64_t i = 0; i < n; i++) {
			CHECK_EQ(perf_data_next(data, &record), 1);
			CHECK_EQ(word_of(record), i);
			CHECK_EQ(record->size, sizes[i % ARRAY_SIZE(sizes)]);
			CHECK_EQ(perf_data_offset(data), offset);
			offset += record->size;
		}
		CHECK_EQ(perf_data_next(data, &record), 0);
		CHECK_EQ(perf_data_next(data, &record), 0);
		perf_data_rewind(data);
	}
	CHECK(!perf_data_damage(data, &offset));
	perf_data_free(data);
}

static void check_refused(const char *bytes, size_t n, int code, const char *text)
{
	struct bytes b = { .bytes = bytes, .n = n };
	struct vpmu_error error = {};
	struct perf_data *data = (void *)1;

	CHECK_EQ(open_bytes(&b, &data, &error), code);
	CHECK_CONTAINS(error.text, text);
	CHECK(data == (void *)1);
}

TEST(what_is_no_recording_is_named)
{
	check_refused("", 0, -ENODATA, "empty");
	check_refused("\x7f" "ELF\2\1\1...........", 18, -EBADMSG, "an ELF binary");
	check_refused("\x1f\x8b\x08...............", 18, -EBADMSG, "gzip");
	check_refused("hello world, hello moon", 23, -EBADMSG, "looks like text");
	check_refused("PERF", 4, -EBADMSG, "cut off after 4 bytes");
	check_refused("2ELIFREP........", 16, -EOPNOTSUPP, "other byte order");
	check_refused("PERFILE2\x68\0\0\0\0\0\0\0....", 20, -EBADMSG, "cut off");
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recordings put together in memory, and a source that reads them. */
#ifndef TESTS_UNIT_PERF_BYTES_H
#define TESTS_UNIT_PERF_BYTES_H

#include <errno.h>

#include "format/perf_data.h"
#include "test.h"
#include "util/macro.h"
#include "util/strbuf.h"

#define ATTR_SIZE (sizeof(struct perf_event_attr) + 16)
#define DATA_AT	  (104 + ATTR_SIZE)

/*
 * Bytes in memory as a file, or as a pipe: one that refuses to go back, and does not know its size.
 */
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

static inline int open_bytes(struct bytes *b, struct perf_data **ret, struct vpmu_error *error)
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

__attribute__((unused)) static const struct perf_event_attr clock_attr = {
	.type = PERF_TYPE_SOFTWARE, .size = sizeof(clock_attr), .config = PERF_COUNT_SW_CPU_CLOCK,
	.sample_type = PERF_SAMPLE_IP,
};

/* The head of a file with one event without ids. */
static inline void add_head(struct strbuf *out, uint64_t data_bytes)
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

static inline void add_record(struct strbuf *out, uint32_t type, size_t bytes, uint64_t word)
{
	struct perf_event_header header = { .type = type, .size = (uint16_t)bytes };
	char body[65536] = {};

	memcpy(body, &word, sizeof(word));
	strbuf_add(out, (const char *)&header, sizeof(header));
	strbuf_add(out, body, bytes - sizeof(header));
}

static inline uint64_t word_of(const struct perf_event_header *record)
{
	CHECK_EQ((uintptr_t)record % 8, 0);
	return *(const uint64_t *)(record + 1);
}

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compressed as perf does it (tools/perf/builtin-record.c): one zstd stream over the whole file,
 * flushed with each chunk taken from a ring, cut into records. The chunks' sizes are chosen so that
 * records lie across them.
 */
#include <zstd.h>

#include "format/perf_data_write.h"
#include "perf_bytes.h"

#define MOST2 65519 /* payload of a COMPRESSED2 record, as perf 6.16 limits it */

/* @n records whose words count up; sizes vary, most bytes do not compress. */
static void add_noise(struct strbuf *out, size_t n)
{
	uint64_t state = 88172645463325252ull;

	for (size_t i = 0; i < n; i++) {
		uint64_t words[64];
		size_t n_words = 2 + i % 60;

		for (size_t w = 0; w < n_words; w++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			words[w] = state;
		}
		words[0] = PERF_RECORD_SAMPLE | (uint64_t)(8 * n_words) << 48;
		words[1] = i;
		strbuf_add(out, (const char *)words, 8 * n_words);
	}
}

/* What of @in goes into one record; *ret_n: its payload's bytes. true if that was not all. */
static bool compress_piece(ZSTD_CStream *stream, ZSTD_inBuffer *in, char *payload, size_t most,
			   size_t *ret_n)
{
	ZSTD_outBuffer out = { .dst = payload, .size = most };
	size_t held_back;

	CHECK(!ZSTD_isError(ZSTD_compressStream(stream, &out, in)));
	held_back = ZSTD_flushStream(stream, &out);
	CHECK(!ZSTD_isError(held_back));
	*ret_n = out.pos;
	return held_back || in->pos < in->size;
}

static void put_header(struct strbuf *out, uint32_t type, size_t size)
{
	struct perf_event_header header = { .type = type, .size = (uint16_t)size };

	strbuf_add(out, (const char *)&header, sizeof(header));
}

/* As record__pushfn() of 6.1 and 6.12: records of any length, no padding. */
static void add_compressed(ZSTD_CStream *stream, ZSTD_inBuffer *in, struct strbuf *out)
{
	static char payload[65527];
	bool more;
	size_t n;

	do {
		more = compress_piece(stream, in, payload, sizeof(payload) - 1, &n);
		put_header(out, PERF_USER_COMPRESSED, 8 + n);
		strbuf_add(out, payload, n);
	} while (more);
}

/* Records that add_compressed2() gave wrong lengths; those of them that have others in them. */
static int overflows, crowds;

/*
 * As record__pushfn() of 6.16, which lays the sum of the lengths on the first record and pads only
 * what it can.
 */
static void add_compressed2(ZSTD_CStream *stream, ZSTD_inBuffer *in, struct strbuf *out)
{
	static char payload[MOST2];
	size_t start = out->n, n, all;
	uint64_t data_size, garbage = 0xdddddddddddddddd;
	struct perf_event_header header;
	bool more;

	do {
		more = compress_piece(stream, in, payload, sizeof(payload), &n);
		put_header(out, PERF_USER_COMPRESSED2, 16 + n);
		strbuf_add(out, (const char *)&garbage, 8);
		strbuf_add(out, payload, n);
	} while (more);
	all = out->n - start;
	data_size = all - 16;
	memcpy(&header, out->text + start, 8);
	header.size = (uint16_t)((all + 7) & ~7ul);
	overflows += header.size < all;
	crowds += data_size > MOST2;
	memcpy(out->text + start, &header, 8);
	memcpy(out->text + start + 8, &data_size, 8);
	while (header.size >= all && (out->n - start) % 8)
		strbuf_addc(out, '\0');
}

/*
 * A file of the records in @plain, in chunks of @chunk bytes, with a plain record between each two.
 */
static struct strbuf make_file(const struct strbuf *plain, size_t chunk,
			       void (*add)(ZSTD_CStream *, ZSTD_inBuffer *, struct strbuf *))
{
	ZSTD_CStream *stream = ZSTD_createCStream();
	struct strbuf file = {};

	CHECK(!ZSTD_isError(ZSTD_initCStream(stream, 1)));
	add_head(&file, 1);
	for (size_t at = 0; at < plain->n; at += chunk) {
		ZSTD_inBuffer in = { .src = plain->text + at, .size = MIN(chunk, plain->n - at) };

		add(stream, &in, &file);
		add_record(&file, PERF_USER_FINISHED_ROUND, 8 + 8, 0);
		add_record(&file, PERF_RECORD_COMM, 16, 0);
	}
	ZSTD_freeCStream(stream);
	memcpy(file.text + 48, &(uint64_t){ file.n - DATA_AT }, 8);
	return file;
}

static void check_file(struct strbuf *file, uint64_t want_samples, uint64_t want_comms)
{
	struct bytes b = { .bytes = file->text, .n = file->n };
	const struct perf_event_header *record;
	struct perf_data *data;
	uint64_t at;

	CHECK_EQ(open_bytes(&b, &data, NULL), 0);
	for (int walk = 0; walk < 2; walk++) {
		uint64_t samples = 0, comms = 0;

		while (perf_data_next(data, &record) == 1)
			if (record->type == PERF_RECORD_COMM)
				comms++;
			else
				CHECK_EQ(word_of(record), samples++);
		if (perf_data_damage(data, &at))
			FAIL("%s at %" PRIu64 " after %" PRIu64 " samples",
			     perf_data_damage(data, &at), at, samples);
		CHECK_EQ(samples, want_samples);
		CHECK_EQ(comms, want_comms);
		perf_data_rewind(data);
	}
	perf_data_free(data);
}

TEST(records_across_compressed_ones_come_whole)
{
	const size_t chunks[] = { 64, 1000, 4096, 65536, 300000 };
	_strbuf_ struct strbuf plain = {};

	add_noise(&plain, 3000);
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		_strbuf_ struct strbuf file = make_file(&plain, chunks[i], add_compressed);

		check_file(&file, 3000, (plain.n + chunks[i] - 1) / chunks[i]);
	}
}

static void check_chunk2(const struct strbuf *plain, size_t chunk)
{
	_strbuf_ struct strbuf file = make_file(plain, chunk, add_compressed2);

	check_file(&file, 3000, (plain->n + chunk - 1) / chunk);
}

TEST(lengths_that_overflowed_in_perf_6_16_are_put_right)
{
	_strbuf_ struct strbuf plain = {};

	add_noise(&plain, 3000);
	check_chunk2(&plain, 4096);
	check_chunk2(&plain, 300000); /* several records a chunk */
	CHECK_CMP(crowds, >, 0);
	CHECK_EQ(overflows, crowds);
	/*
	 * Sizes around which one record is so large that padding takes its length to 64 KiB; hit by
	 * chance, often enough.
	 */
	for (size_t chunk = 68700; chunk < 69000; chunk += 5)
		check_chunk2(&plain, chunk);
	CHECK_CMP(overflows, >, crowds);
}

TEST(much_in_little_is_unpacked_a_window_at_a_time)
{
	_strbuf_ struct strbuf plain = {};

	while (plain.n < 16 << 20)
		add_record(&plain, PERF_RECORD_SAMPLE, 64, plain.n / 64);
	struct strbuf file = make_file(&plain, plain.n, add_compressed);

	CHECK_CMP(file.n, <, plain.n / 8);
	check_file(&file, plain.n / 64, 1);
	strbuf_deinit(&file);
}

static void check_damage(struct strbuf *file, uint64_t least_samples, const char *want)
{
	struct bytes b = { .bytes = file->text, .n = file->n };
	const struct perf_event_header *record;
	struct perf_data *data;
	uint64_t at, samples = 0;

	CHECK_EQ(open_bytes(&b, &data, NULL), 0);
	while (perf_data_next(data, &record) == 1)
		samples += record->type == PERF_RECORD_SAMPLE;
	CHECK_CMP(samples, >=, least_samples);
	CHECK_CONTAINS(perf_data_damage(data, &at), want);
	CHECK_CMP(at, >=, DATA_AT);
	CHECK_CMP(at, <=, file->n);
	perf_data_free(data);
}

/* Overwrites the start of the first payload behind the middle. */
static void break_stream(struct strbuf *file)
{
	struct perf_event_header header = {};
	size_t at = DATA_AT;

	for (; at < file->n / 2 || header.type != PERF_USER_COMPRESSED; at += header.size)
		memcpy(&header, file->text + at, sizeof(header));
	memset(file->text + at - header.size + 8, 0x55, 8);
}

TEST(a_broken_stream_ends_the_walk_where_it_breaks)
{
	_strbuf_ struct strbuf plain = {}, file = {}, half = {};

	add_noise(&plain, 1000);
	file = make_file(&plain, 20000, add_compressed);
	break_stream(&file);
	check_damage(&file, 300, "cannot be unpacked");
	strbuf_add(&half, plain.text, plain.n / 2 - 8);
	strbuf_deinit(&file);
	file = make_file(&half, 20000, add_compressed);
	check_damage(&file, 400, "in the middle of a record");
}

/* What opening gives for a file whose header names compression @type. */
static int open_with_compression(uint32_t type)
{
	const uint32_t words[] = { 1, type, 1, 5, 528384 };
	const struct perf_data_section section = { PERF_FEATURE_COMPRESSED, words, sizeof(words) };
	const struct perf_data_write_event event = { .attr = clock_attr, .name = "cpu-clock" };
	_strbuf_ struct strbuf file = {};
	struct perf_data *data;
	struct vpmu_error error;
	struct bytes b;
	int r;

	CHECK_EQ(perf_data_header(&event, 1, 0, &section, 1, &file), 0);
	CHECK_EQ(perf_data_features(file.n, &section, 1, &file), 0);
	b = (struct bytes){ .bytes = file.text, .n = file.n };
	r = open_bytes(&b, &data, &error);
	if (r == 0)
		perf_data_free(data);
	else
		CHECK_CONTAINS(error.text, "not with zstd");
	return r;
}

TEST(another_compression_than_zstd_is_refused)
{
	CHECK_EQ(open_with_compression(0), 0); /* none: perf stat record */
	CHECK_EQ(open_with_compression(1), 0);
	CHECK_EQ(open_with_compression(2), -EOPNOTSUPP);
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The head of a recording (tools/perf/Documentation/perf.data-file-format.txt):
 *
 *	magic "PERFILE2", u64 size of the head	16 means pipe mode: records follow, and nothing else
 *	u64 attr_size				of one entry of the table: a perf_event_attr as the recorder knew it,
 *						then where its ids are (offset, size)
 *	attrs, data, event_types		offset and size each
 *	u64 features[4]				which sections stand behind the data, in ascending order
 *
 * data.size is filled in at the end: 0 means that the recorder did not come that far.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/perf_data_internal.h"
#include "util/cursor.h"
#include "util/error.h"

#define HEADER_BYTES	  104
#define PIPE_HEADER_BYTES 16
#define PLACE_BYTES	  16 /* offset, size */

struct header {
	uint64_t size, attr_size;
	struct perf_data_place attrs, data;
	uint64_t features[PERF_DATA_FEATURES / 64];
};

static bool is_text(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isprint(bytes[i]) && !isspace(bytes[i]))
			return false;
	return true;
}

/* Says what a file that is no recording looks like. */
static const char *looks_like(const uint8_t *bytes, size_t n)
{
	static const struct {
		const char *magic, *what;
		size_t n;
	} known[] = {
		{ "\x7f" "ELF", "an ELF binary", 4 },
		{ "\x1f\x8b", "gzip-compressed data", 2 },
		{ "\x28\xb5\x2f\xfd", "zstd-compressed data", 4 },
		{ "\xfd" "7zXZ", "xz-compressed data", 5 },
		{ "BZh", "bzip2-compressed data", 3 },
		{ "PK\x03\x04", "a zip archive", 4 },
		{ "\xa1\xb2\xc3\xd4", "a packet capture", 4 },
		{ "tracing", "a trace-cmd file", 7 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (n >= known[i].n && memcmp(bytes, known[i].magic, known[i].n) == 0)
			return known[i].what;
	return is_text(bytes, n) ? "text" : "something else";
}

static int check_magic(const uint8_t *bytes, size_t n, struct vpmu_error *reterr)
{
	if (n == 0)
		return error_set(reterr, -ENODATA,
				 "the recording is empty: it has no bytes at all");
	if (n >= 8 && memcmp(bytes, "PERFILE2", 8) == 0)
		return 0;
	if (n >= 8 && memcmp(bytes, "2ELIFREP", 8) == 0)
		return error_set(
			reterr, -EOPNOTSUPP,
			"the recording was made on a machine of the other byte order, which cannot be read");
	if (n >= 8 && memcmp(bytes, "PERFFILE", 8) == 0)
		return error_set(
			reterr, -EOPNOTSUPP,
			"the recording has version 1 of perf's format (before Linux 3.x), which cannot be read");
	if (n < 8 && memcmp(bytes, "PERFILE2", n) == 0)
		return error_set(reterr, -EBADMSG, "the recording is cut off after %zu bytes", n);
	error_set(reterr, -EBADMSG, "not a perf.data recording: it looks like %s",
		  looks_like(bytes, n));
	if (n >= 4 && memcmp(bytes, "\x1f\x8b", 2) == 0)
		error_hint(reterr, "unpack it first");
	return -EBADMSG;
}

int perf_data_read_piece(struct perf_data *data, uint64_t offset, uint64_t n, void **ret_bytes)
{
	uint64_t size = data->source.size_bytes;
	_free_ void *bytes = NULL;
	ssize_t got;

	if (n > PERF_DATA_FEATURE_MAX)
		return -EFBIG;
	if (offset > size || n > size - offset)
		return -EBADMSG;
	bytes = malloc(n ?: 1);
	if (!bytes)
		return -ENOMEM;
	got = data->source.read_at(data->source.data, bytes, n, offset);
	if (got < 0)
		return (int)got;
	if ((uint64_t)got != n)
		return -EBADMSG;
	*ret_bytes = take_ptr(bytes);
	return 0;
}

static struct perf_data_place read_place(struct cursor *c)
{
	struct perf_data_place place = { .present = true };

	place.offset = cursor_u64(c);
	place.n = cursor_u64(c);
	return place;
}

static int parse_header(const uint8_t *bytes, size_t n, struct header *ret,
			struct vpmu_error *reterr)
{
	struct cursor c = cursor_of(bytes, n);
	struct header header = {};

	cursor_u64(&c); /* magic */
	header.size = cursor_u64(&c);
	header.attr_size = cursor_u64(&c);
	header.attrs = read_place(&c);
	header.data = read_place(&c);
	read_place(&c); /* event types: unused since Linux 3.12 */
	if (c.failed)
		return error_set(reterr, -EBADMSG,
				 "the recording is cut off: only %zu bytes of its header are there",
				 n);
	/* Ends here in files of ancient recorders. */
	for (size_t i = 0;
	     i < ARRAY_SIZE(header.features) && (size_t)(c.p - bytes) + 8 <= header.size; i++)
		header.features[i] = cursor_u64(&c);
	if (header.attr_size < PERF_ATTR_SIZE_VER0 + PLACE_BYTES || header.attr_size > 4096)
		return error_set(reterr, -EBADMSG,
				 "the recording's header is damaged: events of %llu bytes each",
				 (unsigned long long)header.attr_size);
	if (header.attrs.n / header.attr_size > PERF_DATA_MAX_EVENTS)
		return error_set(reterr, -EBADMSG, "the recording's header is damaged: %llu events",
				 (unsigned long long)(header.attrs.n / header.attr_size));
	*ret = header;
	return 0;
}

/* Its ids, which are somewhere else in the file; without them the event still stands. */
static int read_event(struct perf_data *data, const uint8_t *entry, size_t attr_size)
{
	struct cursor c = cursor_of(entry + attr_size - PLACE_BYTES, PLACE_BYTES);
	struct perf_data_place place = read_place(&c);
	_free_ void *ids = NULL;
	int r;

	r = perf_data_read_piece(data, place.offset, MIN(place.n, PERF_DATA_MAX_IDS * 8), &ids);
	if (r == -EBADMSG) {
		perf_data_damaged(data, place.offset,
				  "the ids of an event lie beyond the end of the file");
		place.n = 0;
	} else if (r < 0) {
		return r;
	}
	return perf_data_add_event(data, entry, attr_size - PLACE_BYTES, ids, place.n / 8);
}

static int read_events(struct perf_data *data, const struct header *header,
		       struct vpmu_error *reterr)
{
	size_t n = header->attrs.n / header->attr_size;
	_free_ uint8_t *table = NULL;
	int r;

	r = perf_data_read_piece(data, header->attrs.offset, n * header->attr_size,
				 (void **)&table);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = read_event(data, table + i * header->attr_size, header->attr_size);
	if (r == -EBADMSG)
		return error_set(reterr, r,
				 "the recording's table of events is cut off or damaged");
	if (r < 0)
		return error_set(reterr, r, "cannot read the recording: %s", strerror(-r));
	if (n == 0)
		return error_set(reterr, -EBADMSG, "the recording's header lists no events");
	return 0;
}

/* Where each feature's section is; the table stands behind the data. */
static int find_features(struct perf_data *data, const struct header *header, uint64_t table_offset)
{
	_free_ void *table = NULL;
	size_t n = 0;
	struct cursor c;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(header->features); i++)
		n += (size_t)__builtin_popcountll(header->features[i]);
	r = perf_data_read_piece(data, table_offset, n * PLACE_BYTES, &table);
	if (r < 0)
		return r;
	c = cursor_of(table, n * PLACE_BYTES);
	for (unsigned int i = 0; i < PERF_DATA_FEATURES; i++)
		if (header->features[i / 64] >> i % 64 & 1)
			data->features[i] = read_place(&c);
	return 0;
}

/*
 * A recorder writes data.size last. Where it is 0 either the recorder died, or there were no
 * records. In the latter case the feature table stands where the data would be, and its first entry
 * points right behind the table.
 */
static bool is_finished_and_empty(struct perf_data *data, const struct header *header)
{
	uint64_t n = 0, end_of_table;

	for (size_t i = 0; i < ARRAY_SIZE(header->features); i++)
		n += (uint64_t)__builtin_popcountll(header->features[i]);
	end_of_table = header->data.offset + n * PLACE_BYTES;
	if (n == 0)
		return data->source.size_bytes <= header->data.offset;
	if (find_features(data, header, header->data.offset) == 0)
		for (unsigned int i = 0; i < PERF_DATA_FEATURES; i++)
			if (data->features[i].present)
				return data->features[i].offset == end_of_table;
	return false;
}

static int place_data(struct perf_data *data, const struct header *header)
{
	uint64_t size = data->source.size_bytes, offset = header->data.offset;
	int r;

	data->data_offset = offset;
	if (header->data.n == 0) {
		data->data_end = offset;
		if (is_finished_and_empty(data, header))
			return 0;
		memset(data->features, 0, sizeof(data->features));
		data->data_end = MAX(size, offset);
		perf_data_damaged(
			data, size,
			"the recorder did not finish this file: it was killed, or is still running");
		return 0;
	}
	if (offset > size || header->data.n > size - offset) {
		data->data_end = MAX(size, offset);
		data->cut = true;
		return 0;
	}
	data->data_end = offset + header->data.n;
	r = find_features(data, header, data->data_end);
	if (r == -EBADMSG) {
		perf_data_damaged(data, data->data_end, "the table of header features is cut off");
		r = 0;
	}
	return r;
}

int perf_data_read_header(struct perf_data *data, struct vpmu_error *reterr)
{
	uint8_t bytes[HEADER_BYTES];
	struct header header;
	uint64_t size = 0;
	ssize_t n;
	int r;

	/* A pipe must be read in pieces that fit: what is read is gone. */
	n = data->source.read_at(data->source.data, bytes, PIPE_HEADER_BYTES, 0);
	if (n < 0)
		return error_set(reterr, (int)n, "cannot read the recording: %s",
				 strerror((int)-n));
	r = check_magic(bytes, (size_t)n, reterr);
	if (r < 0)
		return r;
	if (n == PIPE_HEADER_BYTES)
		memcpy(&size, bytes + 8, sizeof(size));
	if (size == PIPE_HEADER_BYTES) {
		data->pipe = true;
		data->data_offset = PIPE_HEADER_BYTES;
		data->data_end = data->source.size_bytes;
		return 0;
	}
	if (n == PIPE_HEADER_BYTES) {
		ssize_t more = data->source.read_at(data->source.data, bytes + n,
						    HEADER_BYTES - (size_t)n, (uint64_t)n);

		if (more < 0)
			return error_set(reterr, (int)more, "cannot read the recording: %s",
					 strerror((int)-more));
		n += more;
	}
	r = parse_header(bytes, (size_t)n, &header, reterr);
	if (r < 0)
		return r;
	r = read_events(data, &header, reterr);
	if (r < 0)
		return r;
	r = place_data(data, &header);
	if (r < 0)
		return error_set(reterr, r, "cannot read the recording: %s", strerror(-r));
	return perf_data_read_sections(data, reterr);
}

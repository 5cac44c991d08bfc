/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Feature sections: what a recording says about itself. In a file each has a section behind the
 * data; in pipe mode each comes as a record, and is kept.
 *
 * perf's string: u32 length, then that many bytes: the text, its NUL, and padding.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/perf_data_internal.h"
#include "util/cursor.h"
#include "util/error.h"
#include "util/strbuf.h"

/* enum perf_compress_type of tools/perf/util/compress.h; perf stat record says "none". */
#define COMPRESSION_NONE 0
#define COMPRESSION_ZSTD 1

#define MISC_BUILD_ID_SIZE (1u << 15) /* tools/lib/perf/include/perf/event.h */

static const char *cursor_perf_string(struct cursor *c)
{
	return cursor_string(c, cursor_u32(c));
}

int perf_data_feature(struct perf_data *data, unsigned int feature, void **ret_bytes, size_t *ret_n)
{
	const struct perf_data_place *place = &data->features[feature % PERF_DATA_FEATURES];
	void *bytes = NULL;
	int r = 0;

	if (feature >= PERF_DATA_FEATURES || !place->present) {
		*ret_bytes = NULL;
		*ret_n = 0;
		return 0;
	}
	if (data->pipe) {
		bytes = malloc(place->n ?: 1);
		if (!bytes)
			return -ENOMEM;
		memcpy(bytes, place->bytes, place->n);
	} else {
		r = perf_data_read_piece(data, place->offset, place->n, &bytes);
	}
	if (r == -EBADMSG || r == -EFBIG) {
		perf_data_damaged(data, place->offset,
				  r == -EFBIG ? "header feature %u is larger than any can be" :
						"header feature %u lies beyond the end of the file", feature);
		r = 0;
	}
	if (r < 0)
		return r;
	*ret_bytes = bytes;
	*ret_n = bytes ? place->n : 0;
	return 0;
}

char *perf_data_feature_string(struct perf_data *data, unsigned int feature)
{
	_free_ void *bytes = NULL;
	_strbuf_ struct strbuf text = {};
	struct cursor c;
	uint32_t words = 1;
	size_t n;

	if (perf_data_feature(data, feature, &bytes, &n) < 0 || !bytes)
		return NULL;
	c = cursor_of(bytes, n);
	if (feature == PERF_FEATURE_CMDLINE)
		words = cursor_u32(&c);
	for (uint32_t i = 0; i < words; i++) {
		const char *word = cursor_perf_string(&c);

		if (!word)
			break;
		if (i > 0)
			strbuf_addc(&text, ' ');
		strbuf_adds(&text, word);
	}
	if (c.failed && !text.n)
		return NULL;
	strbuf_adds(&text, "");
	return strbuf_take(&text);
}

/*
 * EVENT_DESC: u32 events, u32 attr size, then for each: attr, u32 ids, name, ids. Its events are
 * the header's, in order.
 */
static int take_event_desc(struct perf_data *data, const void *bytes, size_t n)
{
	struct cursor c = cursor_of(bytes, n);
	uint32_t n_events = cursor_u32(&c), attr_size = cursor_u32(&c);

	for (uint32_t i = 0; i < n_events && i < data->events.n; i++) {
		uint32_t n_ids;
		const char *name;
		int r;

		cursor_bytes(&c, attr_size);
		n_ids = cursor_u32(&c);
		name = cursor_perf_string(&c);
		cursor_bytes(&c, 8ull * n_ids);
		if (!name)
			break;
		r = perf_data_name_event(data, i, name);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * struct build_id_event: header, pid, build-id in 20 bytes, its length (when misc has the bit),
 * padding, path.
 */
int perf_feature_add_build_id(struct perf_data *data, const struct perf_event_header *record)
{
	struct cursor c = cursor_of(record + 1, record->size - sizeof(*record));
	struct perf_data_build_id id = { .misc = record->misc & PERF_RECORD_MISC_CPUMODE_MASK };
	const uint8_t *bytes;
	const char *path;

	id.pid = (int32_t)cursor_u32(&c);
	bytes = cursor_bytes(&c, 24);
	path = cursor_string(&c, cursor_left(&c));
	if (c.failed || data->build_ids.n >= PERF_DATA_MAX_BUILD_IDS)
		return 0; /* a path without its build-id: the file is matched by path */
	id.size_bytes = sizeof(id.bytes);
	if (record->misc & MISC_BUILD_ID_SIZE)
		id.size_bytes = MIN(bytes[20], sizeof(id.bytes));
	memcpy(id.bytes, bytes, sizeof(id.bytes));
	id.path = strdup(path);
	if (!id.path || !vec_push(&data->build_ids, id)) {
		free((char *)id.path);
		return -ENOMEM;
	}
	return 0;
}

static int take_build_ids(struct perf_data *data, const uint8_t *bytes, size_t n)
{
	while (n >= sizeof(struct perf_event_header)) {
		_free_ struct perf_event_header *record = NULL;
		struct perf_event_header header;
		int r;

		memcpy(&header, bytes, sizeof(header));
		if (header.size < sizeof(header) || header.size > n)
			break;
		record = malloc(header.size); /* sections need not be aligned */
		if (!record)
			return -ENOMEM;
		memcpy(record, bytes, header.size);
		r = perf_feature_add_build_id(data, record);
		if (r < 0)
			return r;
		bytes += header.size;
		n -= header.size;
	}
	return 0;
}

static int check_compression(const void *bytes, size_t n)
{
	struct cursor c = cursor_of(bytes, n);

	uint32_t type;

	cursor_u32(&c); /* version */
	type = cursor_u32(&c);
	return type == COMPRESSION_NONE || type == COMPRESSION_ZSTD ? 0 : -EOPNOTSUPP;
}

/* The features that the reader itself has a use for. */
static int use_feature(struct perf_data *data, unsigned int feature, const void *bytes, size_t n)
{
	switch (feature) {
	case PERF_FEATURE_EVENT_DESC:
		return take_event_desc(data, bytes, n);
	case PERF_FEATURE_BUILD_ID:
		return take_build_ids(data, bytes, n);
	case PERF_FEATURE_COMPRESSED:
		return check_compression(bytes, n);
	default:
		return 0;
	}
}

/* Pipe mode: keeps a copy. */
int perf_feature_take(struct perf_data *data, unsigned int feature, const void *bytes, size_t n)
{
	struct perf_data_place *place = &data->features[feature % PERF_DATA_FEATURES];
	void *copy;

	if (feature >= PERF_DATA_FEATURES)
		return 0;
	copy = malloc(n ?: 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, bytes, n);
	free(place->bytes);
	*place = (struct perf_data_place){ .present = true, .n = n, .bytes = copy };
	return use_feature(data, feature, bytes, n);
}

/* File mode, at open. */
int perf_data_read_sections(struct perf_data *data, struct vpmu_error *reterr)
{
	static const unsigned int used[] = { PERF_FEATURE_EVENT_DESC, PERF_FEATURE_BUILD_ID,
					     PERF_FEATURE_COMPRESSED };

	for (size_t i = 0; i < ARRAY_SIZE(used); i++) {
		_free_ void *bytes = NULL;
		size_t n;
		int r = perf_data_feature(data, used[i], &bytes, &n);

		if (r == 0 && bytes)
			r = use_feature(data, used[i], bytes, n);
		if (r == -EOPNOTSUPP)
			return error_set(reterr, r,
					 "the recording is compressed, but not with zstd");
		if (r < 0)
			return error_set(reterr, r, "cannot read the recording: %s", strerror(-r));
	}
	return 0;
}

size_t perf_data_n_build_ids(const struct perf_data *data)
{
	return data->build_ids.n;
}

const struct perf_data_build_id *perf_data_build_id(const struct perf_data *data, size_t i)
{
	return i < data->build_ids.n ? &data->build_ids.items[i] : NULL;
}

void perf_feature_deinit(struct perf_data *data)
{
	for (size_t i = 0; i < PERF_DATA_FEATURES; i++)
		free(data->features[i].bytes);
	vec_for_each(id, &data->build_ids)
		free((char *)id->path);
	vec_free(&data->build_ids);
}

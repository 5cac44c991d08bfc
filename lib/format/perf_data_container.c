/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records that the perf tool writes about the recording itself; numbers from 64 up
 * (tools/lib/perf/include/perf/event.h). They are taken in here and not handed out. In pipe mode
 * they are all there is for a header. A second walk meets them again and passes them by.
 */
#include <errno.h>
#include <string.h>

#include "format/perf_data_internal.h"
#include "util/cursor.h"

#define EVENT_UPDATE_NAME 2

static int take_attr(struct perf_data *data, const struct perf_event_header *record)
{
	const uint8_t *attr = (const uint8_t *)(record + 1);
	size_t n = record->size - sizeof(*record);
	uint32_t attr_bytes;

	if (n < PERF_ATTR_SIZE_VER0)
		return -EBADMSG;
	memcpy(&attr_bytes, attr + offsetof(struct perf_event_attr, size), sizeof(attr_bytes));
	if (attr_bytes < PERF_ATTR_SIZE_VER0 || attr_bytes > n)
		return -EBADMSG;
	return perf_data_add_event(data, attr, attr_bytes, attr + attr_bytes, (n - attr_bytes) / 8);
}

static int take_event_update(struct perf_data *data, const struct perf_event_header *record)
{
	struct cursor c = cursor_of(record + 1, record->size - sizeof(*record));
	uint64_t type = cursor_u64(&c), id = cursor_u64(&c);
	const char *name;
	int i;

	if (type != EVENT_UPDATE_NAME)
		return 0;
	name = cursor_string(&c, cursor_left(&c));
	i = perf_data_find_id(data, id);
	return name && i >= 0 ? perf_data_name_event(data, (size_t)i, name) : 0;
}

static int take_feature(struct perf_data *data, const struct perf_event_header *record)
{
	struct cursor c = cursor_of(record + 1, record->size - sizeof(*record));
	uint64_t feature = cursor_u64(&c);

	if (c.failed || feature >= PERF_DATA_FEATURES)
		return 0; /* perf ends its list with a number of its own */
	return perf_feature_take(data, (unsigned int)feature, c.p, cursor_left(&c));
}

/* What tells about the file: only pipe mode and perf stat have these among the records. */
static int take_in(struct perf_data *data, const struct perf_event_header *record)
{
	switch (record->type) {
	case PERF_USER_HEADER_ATTR:
		return data->pipe ? take_attr(data, record) : 0;
	case PERF_USER_EVENT_UPDATE:
		return take_event_update(data, record);
	case PERF_USER_HEADER_FEATURE:
		return data->pipe ? take_feature(data, record) : 0;
	case PERF_USER_HEADER_BUILD_ID:
		return perf_feature_add_build_id(data, record);
	default:
		return 0;
	}
}

static int cut_off(struct perf_data *data, const char *what)
{
	perf_data_damaged(data, perf_data_offset(data),
			  "%s is cut off: the file ends before it does", what);
	return 0;
}

/*
 * A record whose header.size does not cover what follows it: AUX area data, and tracepoint formats
 * in pipe mode.
 */
static int step_over_payload(struct perf_data *data, const struct perf_event_header *record,
			     bool seen)
{
	struct cursor c = cursor_of(record + 1, record->size - sizeof(*record));
	_free_ void *bytes = NULL;
	uint64_t n;
	int r;

	if (record->type == PERF_USER_AUXTRACE) {
		n = cursor_u64(&c);
		r = perf_data_skip(data, n, NULL);
		return r == 0 ? cut_off(data, "AUX area data") : r;
	}
	n = cursor_u32(&c);
	if (seen || !data->pipe || n > PERF_DATA_FEATURE_MAX) {
		r = data->pipe ? perf_data_skip(data, n, NULL) : 1;
		return r == 0 ? cut_off(data, "tracepoint data") : r;
	}
	r = perf_data_skip(data, n, &bytes);
	if (r == 0)
		return cut_off(data, "tracepoint data");
	if (r == 1)
		r = perf_feature_take(data, PERF_FEATURE_TRACING_DATA, bytes, n);
	return r < 0 ? r : 1;
}

/*
 * COMPRESSED2 (Linux 6.16) has behind its header a u64, the bytes of payload, and padding. The tool
 * that introduced it gave all records of one compression the first one's lengths (builtin-record.c,
 * record__pushfn()): data_size is then the sum with the headers of the others in it, header.size
 * that sum modulo 64 KiB, there is no padding, and the other records have a true header.size and
 * nothing in data_size. The first one's payload is as large as the tool lets one be.
 */
#define COMPRESSED2_HEAD_BYTES 16
#define COMPRESSED2_MOST       (PERF_DATA_RECORD_MAX - COMPRESSED2_HEAD_BYTES - 1)

static uint64_t padded(uint64_t n)
{
	return (n + 7) & ~7ull;
}

/* Lengths of the record at p: of its payload, and of all of it. */
static int measure_compressed2(struct perf_data *data, size_t *ret_payload, size_t *ret_all)
{
	uint64_t offset = perf_data_offset(data), n;
	struct perf_event_header header;

	memcpy(&header, data->p, sizeof(header));
	memcpy(&n, data->p + sizeof(header), sizeof(n));
	if (offset < data->crowd_end && header.size >= COMPRESSED2_HEAD_BYTES) {
		*ret_payload = header.size - COMPRESSED2_HEAD_BYTES;
		*ret_all = header.size;
		return 0;
	}
	if (n > PERF_DATA_FEATURE_MAX ||
	    (uint16_t)padded(COMPRESSED2_HEAD_BYTES + n) != header.size)
		return -EBADMSG;
	*ret_payload = MIN(n, COMPRESSED2_MOST);
	*ret_all = header.size;
	if (padded(COMPRESSED2_HEAD_BYTES + n) != header.size) {
		*ret_all = COMPRESSED2_HEAD_BYTES + *ret_payload;
		data->crowd_end = offset + COMPRESSED2_HEAD_BYTES + n;
	}
	return 0;
}

int perf_data_take_compressed2(struct perf_data *data)
{
	size_t payload, all;
	int r;

	r = perf_data_want(data, COMPRESSED2_HEAD_BYTES);
	if (r <= 0)
		return r;
	data->record = data->p;
	r = measure_compressed2(data, &payload, &all);
	if (r == 0)
		r = perf_data_want(data, all) ?: -ENODATA;
	if (r == -EBADMSG) {
		perf_data_damaged(data, perf_data_offset(data),
				  "a compressed record's lengths contradict each other");
		return 0;
	}
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	data->record = data->p;
	data->p += all;
	return perf_data_zstd_begin(data, data->record + COMPRESSED2_HEAD_BYTES, payload) ?: 1;
}

int perf_data_take_container(struct perf_data *data, const struct perf_event_header *record)
{
	uint64_t offset = perf_data_offset(data);
	bool seen = offset < data->contained_to;
	int r;

	data->p += record->size;
	if (data->in_zstd)
		return 1; /* never written there by perf */
	switch (record->type) {
	case PERF_USER_AUXTRACE:
	case PERF_USER_HEADER_TRACING_DATA:
		r = step_over_payload(data, record, seen);
		break;
	case PERF_USER_COMPRESSED:
		/* What is unpacked must stay where it is; @record may be a copy. */
		r = perf_data_zstd_begin(data, data->record + sizeof(*record),
					 record->size - sizeof(*record));
		return r ?: 1;
	default:
		r = seen ? 1 : take_in(data, record) ?: 1;
	}
	if (r == -EBADMSG) {
		perf_data_damaged(data, offset,
				  "a record of type %u, which describes the recording, is damaged",
				  record->type);
		return 0;
	}
	if (r == -EOPNOTSUPP) {
		perf_data_damaged(data, offset, "the recording is compressed, but not with zstd");
		return 0;
	}
	if (r == 1)
		data->contained_to = MAX(data->contained_to, offset + 1);
	return r;
}

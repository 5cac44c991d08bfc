/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk over a recording's records: one window of the file at a time, records handed out where
 * they lie.
 *
 * Reading beats mapping here: mapped pages count as the process's memory, and page faults cost more
 * than copying from the page cache into a buffer that stays in the CPU's cache.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format/perf_data_internal.h"
#include "util/error.h"

void perf_data_damaged(struct perf_data *data, uint64_t offset, const char *format, ...)
{
	va_list args;

	if (data->damage[0])
		return;
	va_start(args, format);
	vsnprintf(data->damage, sizeof(data->damage), format, args);
	va_end(args);
	data->damage_offset = offset;
}

static uint64_t offset_of(const struct perf_data *data, const uint8_t *p)
{
	return data->buffer_offset + (uint64_t)(p - data->buffer);
}

/* Bytes behind what the buffer holds of the file, whose window is [p, end). */
static int file_more(struct perf_data *data)
{
	size_t left = (size_t)(data->end - data->p);
	uint64_t here = offset_of(data, data->end);
	size_t n = PERF_DATA_BUFFER_BYTES - left;
	ssize_t got = 0;

	memmove(data->buffer, data->p, left);
	data->buffer_offset = here - left;
	data->record = data->p = data->buffer;
	data->end = data->buffer + left;
	if (here < data->data_end) {
		n = MIN((uint64_t)n, data->data_end - here);
		got = data->source.read_at(data->source.data, data->buffer + left, n, here);
		if (got < 0)
			return (int)got;
		if ((size_t)got > n)
			return -EIO;
	}
	data->end += got;
	if (got == 0 && here < data->data_end) {
		/*
		 * A pipe has no size and ends when it ends; a file has become shorter than it was.
		 */
		data->cut = data->cut || !data->pipe;
		data->data_end = here;
	}
	return got > 0;
}

int perf_data_want(struct perf_data *data, size_t n)
{
	while ((size_t)(data->end - data->p) < n) {
		int r = data->in_zstd ? perf_data_zstd_more(data) : file_more(data);

		if (r <= 0)
			return r;
	}
	return 1;
}

static int skip_in_pieces(struct perf_data *data, uint64_t n, uint8_t *bytes)
{
	while (n) {
		int r = perf_data_want(data, 1);
		size_t piece = MIN((uint64_t)(data->end - data->p), n);

		if (r <= 0)
			return r;
		if (bytes) {
			memcpy(bytes, data->p, piece);
			bytes += piece;
		}
		data->p += piece;
		n -= piece;
	}
	return 1;
}

int perf_data_skip(struct perf_data *data, uint64_t n, void **ret_bytes)
{
	uint64_t here = offset_of(data, data->p);
	_free_ void *bytes = NULL;
	int r;

	if (n > data->data_end - here)
		return 0;
	if (ret_bytes) {
		bytes = malloc(n ?: 1);
		if (!bytes)
			return -ENOMEM;
	} else if (!data->pipe && n > (uint64_t)(data->end - data->p)) {
		data->record = data->p = data->end = data->buffer;
		data->buffer_offset = here + n;
		return 1;
	}
	r = skip_in_pieces(data, n, bytes);
	if (r == 1 && ret_bytes)
		*ret_bytes = take_ptr(bytes);
	return r;
}

/* Nothing more comes: the end, or damage. */
static int end_walk(struct perf_data *data)
{
	size_t left;

	if (data->in_zstd)
		perf_data_zstd_pause(data);
	left = (size_t)(data->end - data->p);
	if (perf_data_zstd_left(data))
		perf_data_damaged(data, offset_of(data, data->record),
				  "the last compressed record ends in the middle of a record");
	else if (data->cut)
		perf_data_damaged(data, offset_of(data, data->p),
				  "the file is cut off: its header promises more than is there");
	else if (left)
		perf_data_damaged(data, offset_of(data, data->p),
				  "the last record is cut off: %zu bytes of it are there", left);
	data->p = data->end = data->buffer;
	data->ended = true;
	return 0;
}

static int stop_at_damage(struct perf_data *data, uint16_t size)
{
	if (!data->in_zstd)
		data->record = data->p;
	perf_data_damaged(data, offset_of(data, data->record),
			  "a record of %u bytes, which is less than its own header has", size);
	return 0;
}

/*
 * A record that does not lie at a multiple of 8 moves to where it does: odd-sized ones may stand
 * before it.
 */
static const struct perf_event_header *aligned(struct perf_data *data, const uint8_t *record,
					       size_t n)
{
	if ((uintptr_t)record % 8 == 0)
		return (const void *)record;
	memcpy(data->bounce, record, n);
	return (const void *)data->bounce;
}

static bool is_own_compressed2(const struct perf_data *data, const struct perf_event_header *header)
{
	return header->type == PERF_USER_COMPRESSED2 && !data->in_zstd;
}

/*
 * One step of next_slowly(): a record whole in the window (1: *ret_record is set, the window not
 * yet moved), a compressed one begun or ended (2), or no more (0).
 */
static int step(struct perf_data *data, const struct perf_event_header **ret_record)
{
	struct perf_event_header header;
	int r;

	r = perf_data_want(data, sizeof(header));
	if (r == 1) {
		memcpy(&header, data->p, sizeof(header));
		if (is_own_compressed2(data, &header)) {
			r = perf_data_take_compressed2(data);
			return r == 1 ? 2 : r;
		}
		if (header.size < sizeof(header))
			return stop_at_damage(data, header.size);
		r = perf_data_want(data, header.size);
	}
	if (r == 0 && data->in_zstd) {
		perf_data_zstd_pause(data);
		return 2;
	}
	if (r <= 0)
		return r == -EBADMSG && data->in_zstd ? 0 : r;
	if (!data->in_zstd)
		data->record = data->p;
	*ret_record = aligned(data, data->p, header.size);
	return 1;
}

/* Whatever is not simply the next record in the window. */
static int next_slowly(struct perf_data *data, const struct perf_event_header **ret_record)
{
	const struct perf_event_header *record = NULL;
	int r;

	while (!data->ended) {
		r = step(data, &record);
		if (r == 1 && record->type < PERF_USER_HEADER_ATTR) {
			data->p += record->size;
			*ret_record = record;
			return 1;
		}
		if (r == 1)
			r = perf_data_take_container(data, record);
		if (r < 0)
			return r;
		if (r == 0)
			return end_walk(data);
	}
	return 0;
}

int perf_data_next(struct perf_data *data, const struct perf_event_header **ret_record)
{
	const struct perf_event_header *record = (const void *)data->p;
	size_t left = (size_t)(data->end - data->p);

	if (likely(left >= sizeof(*record) && (uintptr_t)record % 8 == 0) &&
	    likely(record->size <= left) &&
	    likely(record->size >= sizeof(*record) && record->type < PERF_USER_HEADER_ATTR)) {
		if (!data->in_zstd)
			data->record = data->p;
		data->p += record->size;
		*ret_record = record;
		return 1;
	}
	return next_slowly(data, ret_record);
}

uint64_t perf_data_offset(const struct perf_data *data)
{
	return offset_of(data, data->record);
}

bool perf_data_is_ended(const struct perf_data *data)
{
	if (data->pipe)
		return true;
	for (unsigned int i = 0; i < PERF_DATA_FEATURES; i++)
		if (data->features[i].present)
			return true;
	return false;
}

const char *perf_data_damage(const struct perf_data *data, uint64_t *ret_offset_bytes)
{
	if (!data->damage[0])
		return NULL;
	*ret_offset_bytes = data->damage_offset;
	return data->damage;
}

void perf_data_rewind(struct perf_data *data)
{
	data->in_zstd = false;
	data->crowd_end = 0;
	perf_data_zstd_rewind(data);
	data->record = data->p = data->end = data->buffer;
	data->buffer_offset = data->data_offset;
	data->ended = false;
}

/*
 * In pipe mode the events stand in front of the first ordinary record: take them in now, and go no
 * further.
 */
static int read_pipe_head(struct perf_data *data)
{
	struct perf_event_header header;
	int r = 1;

	while (r == 1) {
		r = perf_data_want(data, sizeof(header));
		if (r <= 0)
			break;
		memcpy(&header, data->p, sizeof(header));
		if (header.size < sizeof(header) || header.type < PERF_USER_HEADER_ATTR ||
		    header.type == PERF_USER_COMPRESSED || header.type == PERF_USER_COMPRESSED2)
			break;
		r = perf_data_want(data, header.size);
		if (r <= 0)
			break;
		data->record = data->p;
		r = perf_data_take_container(data, aligned(data, data->p, header.size));
		if (r == 0)
			return end_walk(data);
	}
	return r < 0 ? r : 0;
}

int perf_data_open(const struct perf_data_source *source, struct perf_data **ret_data,
		   struct vpmu_error *reterr)
{
	_cleanup_(perf_data_freep) struct perf_data *data = calloc(1, sizeof(*data));
	int r;

	if (!data)
		return error_oom(reterr);
	data->source = *source;
	data->buffer = malloc(PERF_DATA_BUFFER_BYTES);
	data->bounce = malloc(PERF_DATA_RECORD_MAX);
	if (!data->buffer || !data->bounce)
		return error_oom(reterr);
	r = perf_data_read_header(data, reterr);
	if (r < 0)
		return r;
	perf_data_rewind(data);
	if (data->pipe) {
		r = read_pipe_head(data);
		if (r < 0)
			return error_set(reterr, r, "cannot read the recording: %s", strerror(-r));
	}
	*ret_data = take_ptr(data);
	return 0;
}

struct perf_data *perf_data_free(struct perf_data *data)
{
	if (!data)
		return NULL;
	perf_data_deinit_events(data);
	perf_feature_deinit(data);
	perf_data_zstd_free(data->zstd);
	free(data->buffer);
	free(data->bounce);
	free(data);
	return NULL;
}

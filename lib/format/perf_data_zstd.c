/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compressed records (perf record -z). perf compresses what it takes from a ring in one go, cuts
 * the output into records of less than 64 KiB, and never ends the zstd frame
 * (tools/perf/builtin-record.c, zstd_compress()). So all compressed records of a file make up one
 * stream, the unpacked records may lie across two of them, and only the order of the file leads
 * through it. Plain records between them are no part of the stream.
 *
 * Unpacking is done a window at a time: however much a record inflates to, memory stays what it is.
 */
#include <errno.h>
#include <string.h>
#include <zstd.h>

#include "format/perf_data_internal.h"

#define WINDOW_BYTES (2 * PERF_DATA_RECORD_MAX)

struct perf_data_zstd {
	ZSTD_DCtx *context;
	ZSTD_inBuffer packed;
	bool full; /* the last call filled its output: zstd may hold more back */
	const uint8_t *p, *end; /* the window while it is not the walk's */
	uint8_t bytes[WINDOW_BYTES] __attribute__((aligned(8)));
};

static struct perf_data_zstd *zstd_new(void)
{
	struct perf_data_zstd *zstd = malloc(sizeof(*zstd));

	if (!zstd)
		return NULL;
	zstd->context = ZSTD_createDCtx();
	if (!zstd->context) {
		free(zstd);
		return NULL;
	}
	zstd->p = zstd->end = zstd->bytes;
	zstd->full = false;
	return zstd;
}

struct perf_data_zstd *perf_data_zstd_free(struct perf_data_zstd *zstd)
{
	if (!zstd)
		return NULL;
	ZSTD_freeDCtx(zstd->context);
	free(zstd);
	return NULL;
}

int perf_data_zstd_begin(struct perf_data *data, const void *packed, size_t n)
{
	struct perf_data_zstd *zstd = data->zstd ?: (data->zstd = zstd_new());

	if (!zstd)
		return -ENOMEM;
	zstd->packed = (ZSTD_inBuffer){ .src = packed, .size = n };
	data->file_p = data->p;
	data->file_end = data->end;
	data->p = zstd->p;
	data->end = zstd->end;
	data->in_zstd = true;
	return 0;
}

int perf_data_zstd_more(struct perf_data *data)
{
	struct perf_data_zstd *zstd = data->zstd;
	size_t left = (size_t)(data->end - data->p), r;
	ZSTD_outBuffer out = { .dst = zstd->bytes, .size = WINDOW_BYTES, .pos = left };

	memmove(zstd->bytes, data->p, left);
	data->p = zstd->bytes;
	data->end = zstd->bytes + left;
	while (out.pos == left && (zstd->packed.pos < zstd->packed.size || zstd->full)) {
		size_t before = zstd->packed.pos;

		r = ZSTD_decompressStream(zstd->context, &out, &zstd->packed);
		if (ZSTD_isError(r)) {
			perf_data_damaged(data, perf_data_offset(data),
					  "a compressed record cannot be unpacked: %s",
					  ZSTD_getErrorName(r));
			return -EBADMSG;
		}
		zstd->full = out.pos == out.size;
		if (out.pos == left && zstd->packed.pos == before)
			break;
	}
	data->end = zstd->bytes + out.pos;
	return out.pos > left;
}

void perf_data_zstd_pause(struct perf_data *data)
{
	data->zstd->p = data->p;
	data->zstd->end = data->end;
	data->p = data->file_p;
	data->end = data->file_end;
	data->in_zstd = false;
}

size_t perf_data_zstd_left(const struct perf_data *data)
{
	return data->zstd ? (size_t)(data->zstd->end - data->zstd->p) : 0;
}

void perf_data_zstd_rewind(struct perf_data *data)
{
	if (!data->zstd)
		return;
	ZSTD_DCtx_reset(data->zstd->context, ZSTD_reset_session_only);
	data->zstd->p = data->zstd->end = data->zstd->bytes;
	data->zstd->full = false;
}

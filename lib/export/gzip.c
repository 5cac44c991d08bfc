/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "export/gzip.h"

#define CHUNK_BYTES  (64 * 1024)
#define GZIP_WRAPPER 16 /* added to the window bits: gzip instead of zlib around the data (zlib.h, deflateInit2) */

int gzip_init(struct gzip *gzip, struct output *out)
{
	*gzip = (struct gzip){ .out = out };
	/* Fastest: stacks repeat so much that the slow levels gain a tenth of the size in thrice the time. */
	if (deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + GZIP_WRAPPER,
			 MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	return 0;
}

void gzip_deinit(struct gzip *gzip)
{
	deflateEnd(&gzip->stream);
}

static void deflate_all(struct gzip *gzip, int flush)
{
	struct strbuf *pending = &gzip->out->pending;
	z_stream *s = &gzip->stream;

	do {
		char *room = strbuf_reserve(pending, CHUNK_BYTES);

		if (!room)
			break;
		s->next_out = (Bytef *)room;
		s->avail_out = CHUNK_BYTES;
		deflate(s, flush);
		pending->n += CHUNK_BYTES - s->avail_out;
		pending->text[pending->n] = '\0';
		output_drain(gzip->out);
	} while (s->avail_out == 0 && !gzip->out->error);
}

void gzip_add(struct gzip *gzip, const void *bytes, size_t n)
{
	const char *p = bytes;

	/* zlib counts in 32 bits. */
	for (size_t part; n && !gzip->out->error; p += part, n -= part) {
		part = MIN(n, (size_t)1 << 30);
		gzip->stream.next_in = (Bytef *)(uintptr_t)p;
		gzip->stream.avail_in = (uInt)part;
		deflate_all(gzip, Z_NO_FLUSH);
	}
}

void gzip_finish(struct gzip *gzip)
{
	deflate_all(gzip, Z_FINISH);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An output behind gzip (RFC 1952). */
#ifndef EXPORT_GZIP_H
#define EXPORT_GZIP_H

#include <zlib.h>
#include "export/output.h"

struct gzip {
	z_stream stream;
	struct output *out;
};

/* -ENOMEM. gzip_deinit() only after success. */
int gzip_init(struct gzip *gzip, struct output *out);
void gzip_deinit(struct gzip *gzip);

void gzip_add(struct gzip *gzip, const void *bytes, size_t n);
/* Ends the stream; nothing may be added behind it. */
void gzip_finish(struct gzip *gzip);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "export/output.h"
#include "util/io.h"

#define WORTHWHILE_BYTES (128 * 1024)

void output_deinit(struct output *out)
{
	strbuf_deinit(&out->pending);
}

int output_finish(struct output *out)
{
	if (out->pending.failed && !out->error)
		out->error = -ENOMEM;
	if (!out->error && out->pending.n)
		out->error = io_write_all(out->fd, out->pending.text, out->pending.n);
	strbuf_clear(&out->pending);
	return out->error;
}

void output_drain(struct output *out)
{
	if (out->pending.n >= WORTHWHILE_BYTES || out->pending.failed)
		output_finish(out);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes on their way to a descriptor. Writers append to `pending` and call output_drain() now and
 * then; the first failure stays in `error`, and what follows it is thrown away, so a writer may
 * carry on and test once.
 */
#ifndef EXPORT_OUTPUT_H
#define EXPORT_OUTPUT_H

#include "util/strbuf.h"

struct output {
	int fd;
	int error; /* 0 or the first negative errno */
	struct strbuf pending;
};

void output_deinit(struct output *out);

/* Writes what is pending if that is a worthwhile amount. */
void output_drain(struct output *out);

/* Writes what is pending. Returns `error`. */
int output_finish(struct output *out);

#endif

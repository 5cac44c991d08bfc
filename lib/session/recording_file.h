/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of a recording, wherever they come from. A recording is read twice, so what cannot be
 * read again (standard input that is a pipe) is first copied to an unnamed temporary file, in
 * $TMPDIR or /var/tmp: recordings are too large for /tmp, which is memory on many machines.
 */
#ifndef SESSION_RECORDING_FILE_H
#define SESSION_RECORDING_FILE_H

#include "format/perf_data.h"

struct recording_file {
	int fd;
	struct perf_data_source source;
};

/* @path: "-" is standard input. Errors: of opening; -EISDIR; of writing the copy. */
int recording_file_open(struct recording_file *file, const char *path, struct vpmu_error *reterr);
void recording_file_close(struct recording_file *file);

#endif

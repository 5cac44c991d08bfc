/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes, packed with zstd where that makes them smaller:
 *
 *	u8 how: 0 as they are, 1 one zstd frame with a checksum
 *	varint bytes when unpacked
 *	the rest
 *
 * Unpacking needs memory for what comes out and no more, and what comes out is bounded twice: by the caller, and by
 * PACKED_RATIO_MAX times what went in. The packer leaves alone what packs better than that.
 */
#ifndef FORMAT_PACKED_H
#define FORMAT_PACKED_H

#include <stddef.h>
#include <stdint.h>
#include "util/strbuf.h"

#define PACKED_RATIO_MAX 100

/* Appends to @out; -ENOMEM. */
int packed_write(const void *bytes, size_t n, struct strbuf *out);

/*
 * *ret_bytes is the caller's to free(). -EBADMSG: damaged, or not ours; -EFBIG: more than @limit_bytes; -ENOMEM.
 */
int packed_read(const void *packed, size_t n_packed, size_t limit_bytes, void **ret_bytes, size_t *ret_n);

#endif

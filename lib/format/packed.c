/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <zstd.h>

#include "format/packed.h"
#include "util/cleanup.h"
#include "util/varint.h"

enum how { AS_IS = 0, ZSTD = 1 };

#define LEVEL 3 /* zstd's default: a profile of a minute takes tens of microseconds */

static ZSTD_CCtx *packer_free(ZSTD_CCtx *packer)
{
	ZSTD_freeCCtx(packer);
	return NULL;
}
DEFINE_CLEANUP(ZSTD_CCtx *, packer_free)

/* 0 bytes in *ret_n: not worth it. */
static int try_zstd(const void *bytes, size_t n, void **ret_packed, size_t *ret_n)
{
	_cleanup_(packer_freep) ZSTD_CCtx *packer = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(n), r;
	_free_ void *packed = malloc(room);

	if (!packer || !packed)
		return -ENOMEM;
	ZSTD_CCtx_setParameter(packer, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(packer, ZSTD_c_checksumFlag, 1);
	r = ZSTD_compress2(packer, packed, room, bytes, n);
	if (ZSTD_isError(r))
		return -ENOMEM; /* with that much room it is all that can go wrong */
	*ret_n = r < n && n / r < PACKED_RATIO_MAX ? r : 0;
	*ret_packed = take_ptr(packed);
	return 0;
}

int packed_write(const void *bytes, size_t n, struct strbuf *out)
{
	_free_ void *packed = NULL;
	size_t n_packed = 0;
	int r = n ? try_zstd(bytes, n, &packed, &n_packed) : 0;

	if (r < 0)
		return r;
	strbuf_addc(out, n_packed ? ZSTD : AS_IS);
	varint_add(out, n);
	if (n_packed)
		strbuf_add(out, packed, n_packed);
	else if (n)
		strbuf_add(out, bytes, n);
	return out->failed ? -ENOMEM : 0;
}

int packed_read(const void *packed, size_t n_packed, size_t limit_bytes, void **ret_bytes, size_t *ret_n)
{
	struct cursor c = cursor_of(packed, n_packed);
	uint8_t how = cursor_u8(&c);
	uint64_t n = cursor_varint(&c);
	size_t left = cursor_left(&c), got;
	_free_ void *bytes = NULL;

	if (c.failed || how > ZSTD || (how == AS_IS ? n != left : n / PACKED_RATIO_MAX > left))
		return -EBADMSG;
	if (n > limit_bytes)
		return -EFBIG;
	bytes = malloc(n + 1);
	if (!bytes)
		return -ENOMEM;
	if (how == ZSTD) {
		got = ZSTD_decompress(bytes, n, c.p, left);
		if (ZSTD_isError(got) || got != n)
			return -EBADMSG;
	} else if (n) {
		memcpy(bytes, c.p, n);
	}
	*ret_n = n;
	*ret_bytes = take_ptr(bytes);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed bytes: what comes out is within its bounds, and comes back when it is packed again. */
#include "format/packed.h"
#include "fuzz.h"

#define LIMIT (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	void *copy = exact_copy(bytes, size), *out = NULL, *again = NULL;
	struct strbuf packed = {};
	size_t n = 0, n_again = 0;

	if (packed_read(copy, size, LIMIT, &out, &n) == 0) {
		HOLDS(n <= LIMIT && n <= size * (size_t)PACKED_RATIO_MAX + PACKED_RATIO_MAX);
		touch(out, n);
		HOLDS(packed_write(out, n, &packed) == 0);
		HOLDS(packed_read(packed.text, packed.n, LIMIT, &again, &n_again) == 0);
		HOLDS(n == n_again && memcmp(out, again, n) == 0);
	}
	free(copy);
	free(out);
	free(again);
	strbuf_deinit(&packed);
	return 0;
}

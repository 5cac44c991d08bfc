/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Type information of a guest's kernel. */
#include "format/btf_types.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const members[] = {
		"name", "inner.name", "parts[1].base", "parts[4000000000].base", "a.b.c.d", ""};
	uint8_t *copy = exact_copy(bytes, size);
	struct btf_types btf;

	if (btf_types_open(copy, size, &btf) == 0) {
		uint32_t offset = 77, n = 77;

		for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
			if (btf_types_offset(&btf, "outer", members[i], &offset, &n) < 0)
				HOLDS(offset == 77 || i > 0);
		btf_types_size(&btf, "inner", &n);
		btf_types_deinit(&btf);
	}
	free(copy);
	return 0;
}

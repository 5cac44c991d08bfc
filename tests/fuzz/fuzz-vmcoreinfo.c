/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/vmcoreinfo.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = exact_copy(bytes, size);
	struct vmcoreinfo info;

	if (vmcoreinfo_parse(copy, size, &info) == 0) {
		uint64_t word;

		memcpy(&word, copy, sizeof(word));
		HOLDS(vmcoreinfo_begins(word));
		HOLDS(info.release[0] && (info.levels == 4 || info.levels == 5));
		touch_string(info.release);
	}
	free(copy);
	return 0;
}

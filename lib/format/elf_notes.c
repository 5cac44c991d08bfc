/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <string.h>

#include "format/elf_notes.h"
#include "util/cursor.h"
#include "util/macro.h"

bool elf_notes_build_id(const void *notes, size_t n, uint8_t ret_id[ELF_BUILD_ID_MAX_BYTES], uint8_t *ret_bytes)
{
	struct cursor c = cursor_of(notes, n);

	while (cursor_left(&c)) {
		uint32_t name_bytes = cursor_u32(&c), bytes = cursor_u32(&c), type = cursor_u32(&c);
		const void *name = cursor_bytes(&c, ((uint64_t)name_bytes + 3) & ~3ull);
		const void *contents = cursor_bytes(&c, ((uint64_t)bytes + 3) & ~3ull);

		if (c.failed)
			return false;
		if (type == NT_GNU_BUILD_ID && name_bytes == 4 && memcmp(name, "GNU", 4) == 0 && bytes) {
			*ret_bytes = (uint8_t)MIN(bytes, (uint32_t)ELF_BUILD_ID_MAX_BYTES);
			memcpy(ret_id, contents, *ret_bytes);
			return true;
		}
	}
	return false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Source lines of one ELF file, out of its DWARF by libdw. */
#ifndef SYM_LINES_H
#define SYM_LINES_H

#include "sym/elf_file.h"
#include "util/intern.h"

struct lines;

/*
 * @debug: the file with the debug information, taken over (also on failure). @runtime: the file that is mapped, for its segments; may be the same or
 * not open, and is only looked at.
 * -ENODATA if there is no debug information, -EFBIG if it claims to unpack to more than 2 GiB, -ENOMEM.
 */
int lines_new(struct elf_file *debug, const struct elf_file *runtime, struct lines **ret_lines);
struct lines *lines_free(struct lines *lines);
DEFINE_CLEANUP(struct lines *, lines_free)

/* The line that @address was made from: a link address, or (@is_offset) an offset in the runtime file. File names are interned. */
bool lines_find(struct lines *lines, struct intern *strings, uint64_t address, bool is_offset,
		const char **ret_file, uint32_t *ret_line);

#endif

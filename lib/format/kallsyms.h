/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text that kernels print: /proc/kallsyms ("%016lx %c %s\n" or "…\t[module]\n") and /proc/modules
 * ("name size refcnt users state 0xaddress"). Parsed in place, in pieces if the caller reads in pieces.
 */
#ifndef FORMAT_KALLSYMS_H
#define FORMAT_KALLSYMS_H

#include <stddef.h>
#include <stdint.h>

struct kallsyms_line {
	uint64_t address;
	char type;
	const char *name;
	const char *module; /* NULL for the kernel itself; without brackets */
	uint32_t name_bytes, module_bytes;
};

/*
 * Calls @fn for each whole line of @text; lines that are none are counted in *ret_bad (may be NULL) and skipped. Stops when @fn
 * returns non-zero, and returns that. *ret_used: bytes consumed, i.e. up to the end of the last whole line. A last line
 * without newline is left for the caller, who may append one.
 */
int kallsyms_parse(const char *text, size_t n, int (*fn)(const struct kallsyms_line *line, void *data),
		   void *data, size_t *ret_used, uint64_t *ret_bad);

struct modules_line {
	const char *name;
	uint32_t name_bytes;
	uint64_t size_bytes, address;
};

int modules_parse(const char *text, size_t n, int (*fn)(const struct modules_line *line, void *data),
		  void *data, uint64_t *ret_bad);

#endif

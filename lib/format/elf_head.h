/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The beginning of an ELF file (64-bit, little-endian), as a process has it mapped: which of the file's bytes go where, and the
 * build-id. Enough to find the file's symbols elsewhere. System V ABI, "ELF header" and "Program header".
 */
#ifndef FORMAT_ELF_HEAD_H
#define FORMAT_ELF_HEAD_H

#include <stddef.h>
#include <stdint.h>

#define ELF_HEAD_BYTES 4096 /* more is not needed: linkers put the headers and the notes first */

struct elf_head {
	uint8_t build_id[20], build_id_bytes; /* 0 = none, or not within the bytes */
	uint16_t n_segments;
	uint32_t segments_at; /* of the program headers */
};

/* -EBADMSG: no such file, or headers beyond @n. */
int elf_head_parse(const void *bytes, size_t n, struct elf_head *ret);

/* How many bytes there are up to the end of the program headers: what is behind them may be dropped. */
size_t elf_head_bytes(const struct elf_head *head);

/*
 * Makes @bytes an ELF file of its own which has these program headers and no sections: what follows is not there.
 * @head: as parsed from them.
 */
void elf_head_detach(void *bytes, const struct elf_head *head);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF notes: u32 size of the name, u32 size of the contents, u32 type, name, contents, both padded to 4 bytes (elf(5)). In files, in
 * /sys/kernel/notes, in the memory of guests' kernels and programs.
 */
#ifndef FORMAT_ELF_NOTES_H
#define FORMAT_ELF_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_BUILD_ID_MAX_BYTES 20 /* longer ones are cut: perf.data has room for no more */

/* The build-id among @notes; false if there is none before they end or stop to make sense. */
bool elf_notes_build_id(const void *notes, size_t n, uint8_t ret_id[ELF_BUILD_ID_MAX_BYTES], uint8_t *ret_bytes);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF files of other people, opened with care. The paths come from /proc/PID/maps, recordings and debug links; we may be root,
 * and whoever owns the file may want us to hang or crash. So: never a FIFO or a device, no mmap unless the file is root's or our own (its owner could
 * truncate it under the mapping: SIGBUS), a cap on the size, none that is mostly holes. Symbolic links are followed: names of symbols are all that ever comes out.
 */
#ifndef SYM_ELF_FILE_H
#define SYM_ELF_FILE_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUILD_ID_MAX_BYTES 20

struct build_id {
	uint8_t n; /* 0 = unknown */
	uint8_t bytes[BUILD_ID_MAX_BYTES];
};

/* Longer ones are cut: perf.data has room for 20 bytes. */
void build_id_set(struct build_id *id, const void *bytes, size_t n);
bool build_id_equal(const struct build_id *a, const struct build_id *b);
/* Lower-case hex; "" if unknown. */
void build_id_hex(const struct build_id *id, char ret_hex[2 * BUILD_ID_MAX_BYTES + 1]);
/* From ELF notes in memory, as in /sys/kernel/notes. */
void build_id_from_notes(struct build_id *id, const void *notes, size_t n);

struct elf_file {
	int fd;
	Elf *elf;
	struct build_id build_id;
};

#define ELF_FILE_NONE (struct elf_file){ .fd = -1 }

/* Errors: what opening gave; -EINVAL (not a regular file), -EFBIG, -ENOEXEC (not an ELF file), -ENOMEM. */
int elf_file_open(const char *path, struct elf_file *ret_file);
/* The vDSO of this process, which is that of all 64-bit ones under this kernel. -ENOENT if there is none. */
int elf_file_vdso(struct elf_file *ret_file);
void elf_file_close(struct elf_file *file);
#define _elf_file_ __attribute__((cleanup(elf_file_close)))

/* The section called @name, NULL if there is none. */
struct Elf_Scn *elf_file_section(const struct elf_file *file, const char *name);

/* Does it have a symbol table of this type (SHT_SYMTAB, SHT_DYNSYM) with contents? */
bool elf_file_has_symbols(const struct elf_file *file, uint32_t type);

#endif

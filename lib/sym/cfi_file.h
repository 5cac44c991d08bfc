/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rows of a file's .eh_frame (format/cfi.h). Debug files have none: it takes the file that was run.
 *
 * libdw takes the section apart; the programs in it are run by cfi_program.h.
 */
#ifndef SYM_CFI_FILE_H
#define SYM_CFI_FILE_H

#include "format/cfi.h"
#include "sym/elf_file.h"

/*
 * Errors: -ENODATA: there are none; -EOPNOTSUPP: not for x86-64; -E2BIG: more than CFI_ROWS_MAX, or of segments;
 * -EBADMSG: the section makes no sense; -ENOMEM.
 */
int cfi_file_read(const struct elf_file *file, struct cfi_table *ret_table);

#endif

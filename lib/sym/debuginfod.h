/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Debug files by build-id from the servers in DEBUGINFOD_URLS (debuginfod(8)), kept by libdebuginfod in its own cache. */
#ifndef SYM_DEBUGINFOD_H
#define SYM_DEBUGINFOD_H

#include <stdatomic.h>
#include "sym/elf_file.h"

/*
 * May take as long as DEBUGINFOD_TIMEOUT says, unless *@hurry becomes true. *ret_path: the file as cached; caller frees. -ENOSYS
 * without libdebuginfod.
 */
int debuginfod_fetch(const struct build_id *build_id, const atomic_bool *hurry, char **ret_path);

#endif

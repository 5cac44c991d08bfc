/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbol tables kept on disk, as they are in memory: loading one is an mmap and a check. A cache is trusted as much as the user
 * who wrote it, so one that belongs to somebody else, or that others may write, is as good as none.
 */
#ifndef SYM_CACHE_H
#define SYM_CACHE_H

#include "sym/symtab.h"

/*
 * The table stored as @name in @directory if its meta bytes begin with @key.
 * -ENOENT, -ESTALE (another key), -EPERM (somebody else's), -EBADMSG (damaged), or what opening gave.
 */
int cache_load(const char *directory, const char *name, const void *key, size_t key_bytes,
	       struct symtab **ret_table);

/* Stores @table, made with the key as its meta bytes. Makes @directory and its parent (0700) where they are missing, but only below a
 * directory of our own: root with somebody's HOME leaves nothing behind there (-EPERM). */
int cache_save(const char *directory, const char *name, const struct symtab *table);

#endif

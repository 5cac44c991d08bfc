/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files for clients: without a name, and not in memory. They may become large, and go when nobody has them open any more, whatever
 * becomes of vpmud. What clients get cannot be written to.
 */
#ifndef DAEMON_SPOOL_H
#define DAEMON_SPOOL_H

#include <stdbool.h>
#include <sys/statvfs.h>
#include <vpmu/error.h>

/* A new one, to be written: a descriptor. -ENOSPC: the disk is nearly full already; and those of the file system. */
int spool_open(struct vpmu_error *reterr);

/* The same file from its beginning, for reading only: another descriptor. */
int spool_reopen(int fd, struct vpmu_error *reterr);

/* There is room for more: the disk is not ours alone. */
bool spool_has_room(int fd);
bool spool_is_enough(const struct statvfs *of); /* for tests */

#endif

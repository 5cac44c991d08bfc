/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * read() with somebody ahead: a thread fetches while the caller works on what came before. For files of which the kernel makes
 * the text while it is read, such as /proc/kallsyms: 36 ms of printing and 8 ms of parsing then take 38 instead of 44.
 *
 * Without a second thread (none could be made) it reads by itself, one after the other.
 */
#ifndef UTIL_READ_AHEAD_H
#define UTIL_READ_AHEAD_H

#include <stddef.h>
#include <sys/types.h>
#include "util/cleanup.h"

struct read_ahead;

/* Starts to read @fd, which stays the caller's and must outlive this. NULL when out of memory. */
struct read_ahead *read_ahead_new(int fd);
/* Waits for a read() under way, so not for descriptors that may block for long. */
struct read_ahead *read_ahead_free(struct read_ahead *ahead);
DEFINE_CLEANUP(struct read_ahead *, read_ahead_free)

/* As read(), but -errno on failure, and never EINTR. */
ssize_t read_ahead_read(struct read_ahead *ahead, void *bytes, size_t n);

#endif

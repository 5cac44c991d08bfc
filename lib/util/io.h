/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole files and short writes. Everything is opened O_CLOEXEC; functions return 0, a count, or a negative errno. */
#ifndef UTIL_IO_H
#define UTIL_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All of @path (AT_FDCWD or a directory as @dir_fd), at most @limit_bytes (else -EFBIG). *ret_text is the caller's to
 * free() and NUL-terminated behind *ret_n bytes. Works on /proc, where sizes are 0. */
int io_read_file(int dir_fd, const char *path, size_t limit_bytes, char **ret_text, size_t *ret_n);

/* Exactly @n bytes, or a negative errno; carries on after short writes and EINTR. */
int io_write_all(int fd, const void *bytes, size_t n);
int io_pwrite_all(int fd, const void *bytes, size_t n, uint64_t offset);

/* Up to @n bytes from @offset: fewer only at the end of the file. */
ssize_t io_pread_full(int fd, void *bytes, size_t n, uint64_t offset);

/* Writes @path by way of a temporary file beside it and rename(): readers see the old file or the whole new one. */
int io_write_file_atomic(const char *path, const void *bytes, size_t n, mode_t mode);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/macro.h"

int io_read_file(int dir_fd, const char *path, size_t limit_bytes, char **ret_text, size_t *ret_n)
{
	_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	_free_ char *text = NULL;
	size_t n = 0, room = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		room = MIN((size_t)st.st_size, limit_bytes) + 2;
	else
		room = 8192;
	for (;;) {
		char *bigger = realloc(text, room);
		ssize_t got;

		if (!bigger)
			return -ENOMEM;
		text = bigger;
		got = read(fd, text + n, room - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
		if (n > limit_bytes)
			return -EFBIG;
		if (room - n - 1 < 4096)
			room += room / 2 + 4096;
	}
	text[n] = '\0';
	*ret_text = take_ptr(text);
	*ret_n = n;
	return 0;
}

int io_write_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int io_pwrite_all(int fd, const void *bytes, size_t n, uint64_t offset)
{
	const char *p = bytes;

	while (n) {
		ssize_t done = pwrite(fd, p, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		offset += (uint64_t)done;
		n -= (size_t)done;
	}
	return 0;
}

ssize_t io_pread_full(int fd, void *bytes, size_t n, uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)bytes + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int io_write_file_atomic(const char *path, const void *bytes, size_t n, mode_t mode)
{
	char temp[PATH_MAX];
	int r;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	_close_ int fd = mkostemp(temp, O_CLOEXEC);

	if (fd < 0)
		return -errno;
	r = io_write_all(fd, bytes, n);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && rename(temp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temp);
	return r;
}

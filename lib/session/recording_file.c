/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session/recording_file.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"

#define SPOOL_PIECE_BYTES (256u << 10)

static ssize_t read_at(void *data, void *bytes, size_t n, uint64_t offset_bytes)
{
	const struct recording_file *file = data;

	return io_pread_full(file->fd, bytes, n, offset_bytes);
}

/*
 * A file without a name; on file systems that have no O_TMPFILE one whose name is removed at
 * once.
 */
static int spool_create(const char *dir)
{
	_free_ char *path = NULL;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd >= 0 ? fd : -errno;
	if (asprintf(&path, "%s/vpmu.XXXXXX", dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int spool(int from, struct vpmu_error *reterr)
{
	const char *dir = secure_getenv("TMPDIR") ?: "/var/tmp";
	_free_ char *piece = malloc(SPOOL_PIECE_BYTES);
	_close_ int to = spool_create(dir);

	if (!piece)
		return error_oom(reterr);
	if (to < 0) {
		error_errno(reterr, to, "copy standard input to a file in", dir);
		error_hint(reterr, "set TMPDIR to a directory that can be written to, "
				   "or save the recording first");
		return to;
	}
	for (;;) {
		ssize_t n = read(from, piece, SPOOL_PIECE_BYTES);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(reterr, -errno, "read", "standard input");
		if (n == 0)
			return take_fd(&to);
		r = io_write_all(to, piece, (size_t)n);
		if (r < 0) {
			error_errno(reterr, r, "copy standard input to a file in", dir);
			error_hint(reterr, "set TMPDIR to a directory with more room");
			return r;
		}
	}
}

static int open_file(const char *path, struct vpmu_error *reterr)
{
	int fd;

	if (!streq(path, "-")) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? error_errno(reterr, -errno, "open", path) : fd;
	}
	if (lseek(STDIN_FILENO, 0, SEEK_CUR) < 0)
		return spool(STDIN_FILENO, reterr);
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? error_errno(reterr, -errno, "read", "standard input") : fd;
}

int recording_file_open(struct recording_file *file, const char *path, struct vpmu_error *reterr)
{
	struct stat st;
	_close_ int fd = open_file(path, reterr);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(reterr, -errno, "look at", path);
	if (S_ISDIR(st.st_mode))
		return error_errno(reterr, -EISDIR, "read", path);
	/* A named pipe cannot be read twice either. */
	if (!S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) < 0) {
		int copy = spool(fd, reterr);

		if (copy < 0)
			return copy;
		close(fd);
		fd = copy;
		if (fstat(fd, &st) < 0)
			return error_errno(reterr, -errno, "look at", path);
	}
	/* It will be read from end to end; tells the kernel to read further ahead. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	file->fd = take_fd(&fd);
	file->source = (struct perf_data_source){
		.data = file,
		.read_at = read_at,
		.size_bytes = (uint64_t)st.st_size,
	};
	return 0;
}

void recording_file_close(struct recording_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"
#include "new_file.h"

int new_file_open(struct new_file *file, const char *path, mode_t mode, struct vpmu_error *reterr)
{
	struct stat st;

	*file = (struct new_file){ .fd = -1, .path = path, .mode = mode };
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		file->fd = open(path, O_WRONLY | O_CLOEXEC);
	} else if (snprintf(file->temp, sizeof(file->temp), "%s.XXXXXX", path) >= (int)sizeof(file->temp)) {
		file->temp[0] = '\0';
		errno = ENAMETOOLONG;
	} else {
		file->fd = mkostemp(file->temp, O_CLOEXEC);
	}
	if (file->fd >= 0)
		return 0;
	file->temp[0] = '\0';
	return error_errno(reterr, -errno, "write to", path);
}

static int put_in_place(const char *temp, const char *path)
{
	char old[PATH_MAX];

	if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_EXCHANGE) < 0)
		return rename(temp, path); /* nothing was there; or a file system that cannot exchange, which loses it */
	if (snprintf(old, sizeof(old), "%s.old", path) >= (int)sizeof(old)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return rename(temp, old);
}

int new_file_keep(struct new_file *file, struct vpmu_error *reterr)
{
	mode_t mask;

	/* Some file systems say only now that the disk is full. */
	if (fsync(file->fd) < 0 && errno != EINVAL && errno != EROFS)
		return error_errno(reterr, -errno, "write", file->path);
	if (!file->temp[0])
		return 0;
	mask = umask(0);
	umask(mask);
	if (fchmod(file->fd, file->mode & ~mask) < 0 || put_in_place(file->temp, file->path) < 0)
		return error_errno(reterr, -errno, "write to", file->path);
	file->temp[0] = '\0';
	return 0;
}

int new_file_finish(struct new_file *file, int r, struct vpmu_error *reterr)
{
	if (r == -ENOSPC || r == -EDQUOT || r == -EFBIG || r == -EIO || r == -EPIPE)
		return error_errno(reterr, r, "write", file->path);
	return r < 0 ? r : new_file_keep(file, reterr);
}

void new_file_close(struct new_file *file)
{
	if (!file->path)
		return;
	if (file->temp[0])
		unlink(file->temp);
	if (file->fd >= 0)
		close(file->fd);
}

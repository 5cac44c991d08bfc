/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "spool.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"

/* Others get a tenth of the disk, but of large ones no more than this. */
#define KEPT_FREE_BYTES (UINT64_C(4) << 30)

bool spool_is_enough(const struct statvfs *of)
{
	uint64_t kept = MIN((uint64_t)of->f_blocks * of->f_frsize / 10, KEPT_FREE_BYTES);

	return (uint64_t)of->f_bavail * of->f_frsize >= kept;
}

bool spool_has_room(int fd)
{
	struct statvfs of;

	return fstatvfs(fd, &of) < 0 || spool_is_enough(&of);
}

int spool_open(struct vpmu_error *reterr)
{
	static const char directory[] = "/var/tmp";
	char path[] = "/var/tmp/vpmud-XXXXXX";
	_close_ int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* Some file systems cannot. */
	if (fd < 0) {
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			(void)unlink(path);
	}
	if (fd < 0)
		return error_errno(reterr, -errno, "make a file in", directory);
	if (!spool_has_room(fd))
		return error_set(reterr, -ENOSPC, "the disk of %s is nearly full", directory);
	return take_fd(&fd);
}

int spool_reopen(int fd, struct vpmu_error *reterr)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	return again < 0 ? error_errno(reterr, -errno, "open", "a file for reading") : again;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "qemu_users.h"
#include "userdb.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/macro.h"

/* /proc/PID/status, which has no more than some hundred CPUs' masks in it. */
#define STATUS_BYTES_MAX (64 << 10)

void qemu_users_find(struct qemu_users *ret_users)
{
	/* As Debian and Fedora build it. */
	static const char *const names[] = { "libvirt-qemu", "qemu" };

	*ret_users = (struct qemu_users){ .uids = { 0, geteuid() }, .n = 2 };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ret_users->n += user_find(names[i], &ret_users->uids[ret_users->n]) == 0;
}

bool qemu_users_have(const struct qemu_users *users, const char *proc_path, pid_t pid)
{
	_free_ char *status = NULL;
	const char *line;
	unsigned int uid;
	char path[256];
	size_t n;

	snprintf(path, sizeof(path), "%s/%d/status", proc_path, (int)pid);
	if (io_read_file(AT_FDCWD, path, STATUS_BYTES_MAX, &status, &n) < 0)
		return false;
	/* The name in the line before cannot fake it: the kernel escapes line breaks there. */
	line = strstr(status, "\nUid:");
	if (!line || sscanf(line, "\nUid: %u", &uid) != 1)
		return false;
	for (unsigned int i = 0; i < users->n; i++)
		if (users->uids[i] == uid)
			return true;
	return false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userdb.h"
#include "util/macro.h"

static bool number(const char *name, uint32_t *ret_id)
{
	char *end;
	unsigned long value;

	if (!*name || strspn(name, "0123456789") != strlen(name))
		return false;
	errno = 0;
	value = strtoul(name, &end, 10);
	/* (uid_t)-1 means "no change" to the kernel and is nobody's. */
	if (errno || value >= UINT32_MAX)
		return false;
	*ret_id = (uint32_t)value;
	return true;
}

int user_find(const char *name, uid_t *ret_uid)
{
	const struct passwd *entry;

	if (number(name, ret_uid))
		return 0;
	entry = getpwnam(name);
	if (!entry)
		return -ENOENT;
	*ret_uid = entry->pw_uid;
	return 0;
}

void user_describe(uid_t uid, char *text, size_t room)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry = NULL;

	while (file && (entry = fgetpwent(file)) && entry->pw_uid != uid)
		;
	if (entry)
		snprintf(text, room, "%s", entry->pw_name);
	else
		snprintf(text, room, "%u", (unsigned int)uid);
	if (file)
		fclose(file);
}

int group_find(const char *name, gid_t *ret_gid)
{
	const struct group *entry;

	if (number(name, ret_gid))
		return 0;
	entry = getgrnam(name);
	if (!entry)
		return -ENOENT;
	*ret_gid = entry->gr_gid;
	return 0;
}

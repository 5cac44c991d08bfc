/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users and groups by name, or by number. A look into the user database may take long (it may be on the network), so it is
 * done when a configuration is read and not for each client: a client's groups come from the kernel.
 */
#ifndef DAEMON_USERDB_H
#define DAEMON_USERDB_H

#include <sys/types.h>

/* -ENOENT: there is none of this name. A number is taken as it is. */
int user_find(const char *name, uid_t *ret_uid);
int group_find(const char *name, gid_t *ret_gid);

/* How to speak of a user: the name in /etc/passwd, which is a look into a file and no more; else the number. */
void user_describe(uid_t uid, char *text, size_t room);

#endif

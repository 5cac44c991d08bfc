/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose processes may be libvirt's QEMUs: root's, ours, and those of the user that libvirt is built to run them as. Anybody may start
 * a QEMU that calls itself by the UUID of another's domain; who it belongs to he cannot choose.
 *
 * With another `user` in libvirt's qemu.conf, or one set for a domain, what tells is the pid that libvirt noted.
 */
#ifndef DAEMON_QEMU_USERS_H
#define DAEMON_QEMU_USERS_H

#include <stdbool.h>
#include <sys/types.h>

struct qemu_users {
	uid_t uids[4];
	unsigned int n;
};

/* Looks into the user database. */
void qemu_users_find(struct qemu_users *ret_users);

/* Does one of @users have started process @pid (its real user, which a set-user-ID program keeps)? */
bool qemu_users_have(const struct qemu_users *users, const char *proc_path, pid_t pid);

#endif

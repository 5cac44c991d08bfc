/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeping up with a guest: threads that come and go, its death. Cheap while nothing changes: one
 * listing of /proc/PID/task a look. Which of the threads are vCPUs is asked again when that list
 * changed, and every few looks, for threads that got their name late.
 */
#ifndef SESSION_FOLLOW_H
#define SESSION_FOLLOW_H

#include "session/roster.h"

enum follow_change {
	FOLLOW_SAME,
	FOLLOW_CHANGED, /* guest->threads is a new list, its vCPUs are up to date */
	FOLLOW_GONE,	/* the guest is buried */
};

/* Looks at guest @index. Returns an enum follow_change, or -ENOMEM. */
int follow_guest(struct roster *roster, uint32_t index);

/*
 * Opens /proc/PID of the process that @info means, under @proc_path. -ESRCH if it is another one
 * by now.
 */
int follow_open(const char *proc_path, const struct vpmu_guest_info *info);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads of a process, as /proc/PID/task lists them. */
#ifndef SESSION_TASKS_H
#define SESSION_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tasks { /* a VEC, sorted */
	pid_t *items;
	size_t n, room;
};

/*
 * Replaces @tasks' list. @proc_fd: /proc/PID. Errors: -ESRCH (the process is gone, or only a
 * zombie is left), -ENOMEM.
 */
int tasks_read(int proc_fd, struct tasks *tasks);
void tasks_deinit(struct tasks *tasks);
#define _tasks_ __attribute__((cleanup(tasks_deinit)))

bool tasks_equal(const struct tasks *a, const struct tasks *b);
bool tasks_have(const struct tasks *tasks, pid_t tid);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session/tasks.h"
#include "util/cleanup.h"
#include "util/vec.h"

static int compare(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* Dead, but not waited for by its parent: it has no program any more. */
static bool is_zombie(int proc_fd)
{
	char path[1];

	return readlinkat(proc_fd, "exe", path, sizeof(path)) < 0 && errno == ENOENT;
}

int tasks_read(int proc_fd, struct tasks *tasks)
{
	int fd = openat(proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	tasks->n = 0;
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    !vec_push(tasks, (pid_t)strtol(entry->d_name, NULL, 10)))
			r = -ENOMEM;
	closedir(dir);
	if (r == 0 && (tasks->n == 0 || (tasks->n == 1 && is_zombie(proc_fd))))
		r = -ESRCH;
	if (r == 0)
		qsort(tasks->items, tasks->n, sizeof(*tasks->items), compare);
	return r;
}

void tasks_deinit(struct tasks *tasks)
{
	vec_free(tasks);
}

bool tasks_equal(const struct tasks *a, const struct tasks *b)
{
	return a->n == b->n &&
	       (a->n == 0 || memcmp(a->items, b->items, a->n * sizeof(*a->items)) == 0);
}

bool tasks_have(const struct tasks *tasks, pid_t tid)
{
	return tasks->n && bsearch(&tid, tasks->items, tasks->n, sizeof(tid), compare);
}

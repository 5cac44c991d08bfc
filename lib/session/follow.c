/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/proc_pid.h"
#include "guest/vmm.h"
#include "session/follow.h"
#include "util/cleanup.h"

int follow_open(const char *proc_path, const struct vpmu_guest_info *info)
{
	_close_ int fd = -1;
	struct task_stat stat;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d", proc_path, (int)info->pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (task_stat_read(fd, "stat", &stat) < 0 || stat.start_ticks != info->start_ticks)
		return -ESRCH;
	return take_fd(&fd);
}

static bool has_unknown_vcpus(const struct roster_guest *guest)
{
	return guest->info.n_vcpus == 0;
}

static int update_vcpus(struct roster *roster, uint32_t index)
{
	struct roster_guest *guest = roster->guests.items[index];
	struct task_stat stat;
	struct vmm vmm = {};
	int r;

	if (task_stat_read(guest->proc_fd, "stat", &stat) < 0)
		return 0; /* just gone: the next look sees it */
	r = vmm_probe(guest->proc_fd, guest->info.pid, &stat, &guest->info, &vmm);
	if (r != VMM_YES)
		return r < 0 ? r : 0;
	r = roster_add_vcpus(roster, index, vmm.info.vcpus, vmm.info.n_vcpus);
	vmm_deinit(&vmm);
	return r;
}

int follow_guest(struct roster *roster, uint32_t index)
{
	struct roster_guest *guest = roster->guests.items[index];
	struct tasks threads = {};
	int r;

	r = tasks_read(guest->proc_fd, &threads);
	if (r == -ENOMEM)
		goto out;
	if (r < 0) {
		roster_bury(roster, index);
		r = FOLLOW_GONE;
		goto out;
	}
	r = FOLLOW_SAME;
	if (tasks_equal(&threads, &guest->threads) && !has_unknown_vcpus(guest))
		goto out;
	r = update_vcpus(roster, index);
	if (r < 0)
		goto out;
	tasks_deinit(&guest->threads);
	guest->threads = threads;
	return FOLLOW_CHANGED;
out:
	tasks_deinit(&threads);
	return r;
}

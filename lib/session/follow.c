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

#define LOOKS_UNSETTLED		3
#define LOOKS_BETWEEN_QUESTIONS 10

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

/*
 * Whether to ask which threads are vCPUs although the list of threads is the same: a vCPU's thread
 * is there before it gets its name, so for a while after a change; until there is a vCPU at all;
 * and now and then.
 */
static bool ask_again(struct roster_guest *guest)
{
	if (guest->looks_unsettled) {
		guest->looks_unsettled--;
		return true;
	}
	return guest->info.n_vcpus == 0 || ++guest->looks_at_same % LOOKS_BETWEEN_QUESTIONS == 0;
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
	size_t n_vcpus = guest->info.n_vcpus;
	struct tasks threads = {};
	bool same;
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
	same = tasks_equal(&threads, &guest->threads);
	if (!same)
		guest->looks_unsettled = LOOKS_UNSETTLED;
	else if (!ask_again(guest))
		goto out;
	r = update_vcpus(roster, index);
	if (r < 0 || (same && guest->info.n_vcpus == n_vcpus))
		goto out;
	tasks_deinit(&guest->threads);
	guest->threads = threads;
	return FOLLOW_CHANGED;
out:
	tasks_deinit(&threads);
	return r;
}

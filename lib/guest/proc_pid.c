/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/proc_pid.h"
#include "util/cleanup.h"
#include "util/macro.h"

/*
 * A process may hold a million files, and all of them would have to be looked at to say that none is a vCPU's. A
 * hypervisor opens its virtual machine before most else: who shows none in the first thousand is let go. And who has a
 * machine but hides it behind more files than hypervisors need does so at his own loss.
 */
#define FDS_BEFORE_GIVING_UP 1024
#define FDS_MAX		     16384

DIR *open_dir_at(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

ssize_t read_start(int dir_fd, const char *path, char *text, size_t room)
{
	_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	if (fd < 0)
		return -errno;
	while (n < room - 1) {
		ssize_t got = read(fd, text + n, room - 1 - n);

		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	return (ssize_t)n;
}

/* proc_pid_stat(5). The name is in parentheses and may itself hold some: the last one ends it. */
int task_stat_read(int dir_fd, const char *path, struct task_stat *ret_stat)
{
	char text[1024], *name, *name_end;
	ssize_t n = read_start(dir_fd, path, text, sizeof(text));
	struct task_stat stat = {};
	int field = 3;

	if (n < 0)
		return (int)n;
	name = strchr(text, '(');
	name_end = strrchr(text, ')');
	if (!name || !name_end || name_end < name || name_end[1] != ' ')
		return -EBADMSG;
	*name_end = '\0';
	snprintf(stat.comm, sizeof(stat.comm), "%s", name + 1);
	stat.state = name_end[2];
	for (char *p = strchr(name_end + 2, ' '); p; p = strchr(p + 1, ' ')) {
		uint64_t value = strtoull(p, NULL, 10);

		field++;
		if (field == 9)
			stat.flags = (uint32_t)value;
		else if (field == 14)
			stat.user_ticks = value;
		else if (field == 15)
			stat.system_ticks = value;
		else if (field == 20)
			stat.n_threads = value;
		else if (field == 22)
			stat.start_ticks = value;
		else if (field == 43)
			stat.guest_ticks = value;
	}
	if (field < 22)
		return -EBADMSG;
	*ret_stat = stat;
	return 0;
}

/* Where open file @name of /proc/PID/fd leads, as far as it is of interest; 0 or a negative errno. */
static int read_link(int fd_dir, const char *name, char link[64])
{
	ssize_t n = readlinkat(fd_dir, name, link, 63);

	if (n < 0)
		return -errno;
	link[n] = '\0';
	return 0;
}

/* A vCPU's file: "kvm-vcpu:N", without a number on old kernels. "kvm-vcpu-stats:N" is something else. */
static bool is_vcpu_file(const char *link, uint32_t *ret_vcpu)
{
	const char *number = link + strlen("anon_inode:kvm-vcpu");

	if (!starts_with(link, "anon_inode:kvm-vcpu") || (*number && *number != ':'))
		return false;
	*ret_vcpu = *number ? (uint32_t)strtoul(number + 1, NULL, 10) : 0;
	return true;
}

/* Looks at the open files up to the first vCPU's, or at @all of them; the number of vCPUs' files seen. */
static size_t walk_files(int dir_fd, bool ran_guest_code, bool all, struct kvm_files *files)
{
	_cleanup_(closedirp) DIR *dir = open_dir_at(dir_fd, "fd");
	size_t n_seen = 0, n_vcpus = 0;
	struct dirent *entry;
	uint32_t vcpu;
	char link[64];

	files->readable = dir;
	while (dir && (entry = readdir(dir)) && n_seen < FDS_MAX && (all || !n_vcpus)) {
		int r;

		if (entry->d_name[0] == '.')
			continue;
		if (++n_seen > FDS_BEFORE_GIVING_UP && !ran_guest_code && !files->has_vm)
			break;
		r = read_link(dirfd(dir), entry->d_name, link);
		if (r == -EACCES || r == -EPERM) {
			files->readable = false;
			break;
		}
		if (r == 0 && streq(link, "anon_inode:kvm-vm"))
			files->has_vm = true;
		if (r == 0 && is_vcpu_file(link, &vcpu)) {
			files->vcpu_fd = atoi(entry->d_name);
			n_vcpus++;
		}
	}
	return n_vcpus;
}

void kvm_files_read(int dir_fd, bool ran_guest_code, int known_fd, struct kvm_files *ret_files)
{
	struct kvm_files files = { .vcpu_fd = -1 };
	char path[64], link[64];
	uint32_t vcpu;

	snprintf(path, sizeof(path), "fd/%d", known_fd);
	if (known_fd >= 0 && read_link(dir_fd, path, link) == 0 && is_vcpu_file(link, &vcpu)) {
		files.readable = true;
		files.vcpu_fd = known_fd;
	} else {
		walk_files(dir_fd, ran_guest_code, false, &files);
	}
	*ret_files = files;
}

size_t kvm_files_count_vcpus(int dir_fd)
{
	struct kvm_files files = {};

	return walk_files(dir_fd, true, true, &files);
}

/* The file reads "16 0x1a 0xae80 …": system call, file, request; or "running". */
enum thread_call thread_call_read(int dir_fd, pid_t tid, uint32_t *ret_vcpu)
{
	unsigned long call, fd, request;
	char path[64], text[256], link[64];

	snprintf(path, sizeof(path), "task/%d/syscall", tid);
	if (read_start(dir_fd, path, text, sizeof(text)) < 0)
		return THREAD_ELSEWHERE;
	if (starts_with(text, "running"))
		return THREAD_RUNNING;
	if (sscanf(text, "%lu 0x%lx 0x%lx", &call, &fd, &request) != 3 || call != SYS_ioctl || request != KVM_RUN)
		return THREAD_ELSEWHERE;
	snprintf(path, sizeof(path), "fd/%lu", fd);
	return read_link(dir_fd, path, link) == 0 && is_vcpu_file(link, ret_vcpu) ? THREAD_IN_GUEST :
										     THREAD_ELSEWHERE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/kvm_stats_fd.h"
#include "guest/proc_pid.h"
#include "util/cleanup.h"
#include "util/macro.h"
#include "util/vec.h"

#define FDS_MAX 16384 /* how many of a process's files are looked at */

struct stats_file {
	uint32_t vcpu; /* KVM's number */
	int fd;	       /* in that process */
};

struct stats_files { /* a VEC, by number, one for each */
	struct stats_file *items;
	size_t n, room;
};

static void files_free(struct stats_files *files)
{
	vec_free(files);
}

/* Whether file @name in directory @dir_fd is a vCPU's statistics. 0, 1 or a negative errno. */
static int is_stats_file(int dir_fd, const char *name, uint32_t *ret_vcpu)
{
	static const char prefix[] = "anon_inode:kvm-vcpu-stats:";
	char link[64];
	ssize_t n = readlinkat(dir_fd, name, link, sizeof(link) - 1);

	if (n < 0)
		return -errno;
	link[n] = '\0';
	if (!starts_with(link, prefix))
		return 0;
	*ret_vcpu = (uint32_t)strtoul(link + strlen(prefix), NULL, 10);
	return 1;
}

static int add(struct stats_files *files, struct stats_file file)
{
	size_t i = 0;

	while (i < files->n && files->items[i].vcpu < file.vcpu)
		i++;
	if (i < files->n && files->items[i].vcpu == file.vcpu)
		return 0; /* a second one of the same vCPU will do as well */
	if (!vec_reserve(files, 1))
		return -ENOMEM;
	memmove(files->items + i + 1, files->items + i, (files->n - i) * sizeof(file));
	files->items[i] = file;
	files->n++;
	return 0;
}

static int list_files(int proc_fd, struct stats_files *files)
{
	_cleanup_(closedirp) DIR *dir = open_dir_at(proc_fd, "fd");
	struct dirent *entry;
	size_t n_seen = 0;

	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(dir)) && n_seen++ < FDS_MAX) {
		struct stats_file file = { .fd = atoi(entry->d_name) };
		int r = entry->d_name[0] == '.'
				? 0
				: is_stats_file(dirfd(dir), entry->d_name, &file.vcpu);

		if (r == -EACCES || r == -EPERM)
			return r;
		if (r == 1 && add(files, file) < 0)
			return -ENOMEM;
	}
	return files->n ? 0 : -ENOENT;
}

static const struct stats_file *choose(const struct stats_files *files, uint32_t index, size_t rank,
				       size_t n_vcpus)
{
	if (files->n == n_vcpus && rank < n_vcpus)
		return &files->items[rank];
	vec_for_each (file, files)
		if (file->vcpu == index)
			return file;
	return NULL;
}

int kvm_stats_fd_open(int proc_fd, pid_t pid, uint32_t index, size_t rank, size_t n_vcpus)
{
	_cleanup_(files_free) struct stats_files files = {};
	_close_ int pidfd = -1, fd = -1;
	const struct stats_file *file;
	char path[64];
	uint32_t vcpu;
	int r;

	/* First the pidfd: as @proc_fd can still be read afterwards, they are the same process. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	r = list_files(proc_fd, &files);
	if (r < 0)
		return r;
	file = choose(&files, index, rank, n_vcpus);
	if (!file)
		return -ENOENT;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, file->fd, 0);
	if (fd < 0)
		return errno == EBADF ? -ENOENT : -errno;
	/* The process may have put another file in its place meanwhile. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (is_stats_file(AT_FDCWD, path, &vcpu) != 1 || vcpu != file->vcpu)
		return -ENOENT;
	return take_fd(&fd);
}

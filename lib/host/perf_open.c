/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/perf_open.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/macro.h"

int perf_open(const struct perf_event_attr *attr, pid_t tid, int cpu)
{
	long fd = syscall(SYS_perf_event_open, attr, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

int perf_open_grouped(const struct perf_event_attr *attr, int leader)
{
	long fd = syscall(SYS_perf_event_open, attr, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

int perf_paranoid_level(const char *proc_path, int *ret_level)
{
	_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t n;
	int r;

	snprintf(path, sizeof(path), "%s/sys/kernel/perf_event_paranoid", proc_path);
	r = io_read_file(AT_FDCWD, path, 64, &text, &n);
	if (r < 0)
		return r;
	*ret_level = atoi(text);
	return 0;
}

char perf_mediated_pmu(const char *sys_path, const char **ret_module)
{
	static const char *const modules[] = { "kvm_intel", "kvm_amd" };

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		_free_ char *text = NULL;
		char path[PATH_MAX];
		size_t n;

		snprintf(path, sizeof(path), "%.*s/module/%s/parameters/enable_mediated_pmu", PATH_MAX - 64,
			 sys_path, modules[i]);
		if (io_read_file(AT_FDCWD, path, 64, &text, &n) < 0)
			continue;
		*ret_module = modules[i];
		return text[0] == 'Y' || text[0] == 'y' || text[0] == '1' ? 'Y' : 'N';
	}
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/kallsyms.h"
#include "format/perf_data_write.h"
#include "format/proc_maps.h"
#include "session/sideband.h"
#include "session/tasks.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/macro.h"

#define MAPS_BYTES_MAX	  (64u << 20)
#define MODULES_BYTES_MAX (4u << 20)
/*
 * _text is among the first symbols (after the per-CPU ones, where these have addresses of their
 * own).
 */
#define KALLSYMS_BYTES_MAX (1u << 20)
/*
 * Where the kernel's map ends if no module says so: the image with KASLR has at most this much
 * room on x86 (KERNEL_IMAGE_SIZE, arch/x86/include/asm/page_64_types.h).
 */
#define KERNEL_ROOM_BYTES (1ull << 30)

struct making {
	const struct plan *plan;
	pid_t pid;
	uint64_t time_ns;
	struct strbuf *out;
};

static const struct perf_layout *layout_of(const struct plan *plan)
{
	return &plan->events[0].layout;
}

static uint64_t id_of(const struct plan *plan)
{
	return plan->events[0].ids.n ? plan->events[0].ids.items[0] : 0;
}

/* Puts the time into the tail of the record just made. */
static void set_time(const struct making *m)
{
	struct plan_record_tail *tail;

	if (m->out->failed)
		return;
	tail = (void *)(m->out->text + m->out->n - sizeof(*tail));
	tail->time_ns = m->time_ns;
}

static void make_comm(const struct making *m, int proc_fd, pid_t tid)
{
	_free_ char *comm = NULL;
	char path[64];
	size_t n;

	snprintf(path, sizeof(path), "task/%d/comm", (int)tid);
	if (io_read_file(proc_fd, path, 4096, &comm, &n) < 0)
		return;
	comm[strcspn(comm, "\n")] = '\0';
	perf_record_make_comm(layout_of(m->plan), (uint32_t)m->pid, (uint32_t)tid, comm,
			      id_of(m->plan), m->out);
	set_time(m);
}

static int make_map(const struct proc_maps_line *line, void *data)
{
	const struct making *m = data;
	char path[PATH_MAX];
	struct perf_mmap_record map = {
		.pid = (uint32_t)m->pid,
		.tid = (uint32_t)m->pid,
		.start = line->start,
		.length_bytes = line->end - line->start,
		.pgoff_bytes = line->offset_bytes,
		.prot = line->prot,
		.path = path,
	};

	if (!(line->prot & PROT_EXEC))
		return 0;
	if (line->path_bytes)
		snprintf(path, sizeof(path), "%.*s", (int)line->path_bytes, line->path);
	else
		strcpy(path, "//anon"); /* as the kernel calls it */
	perf_record_make_mmap2(layout_of(m->plan), PERF_RECORD_MISC_USER, &map, line->major,
			       line->minor, line->inode, id_of(m->plan), m->out);
	set_time(m);
	return 0;
}

int sideband_thread(const struct plan *plan, int proc_fd, pid_t pid, pid_t tid, uint64_t time_ns,
		    struct strbuf *out)
{
	struct making m = {plan, pid, time_ns, out};

	make_comm(&m, proc_fd, tid);
	return out->failed ? -ENOMEM : 0;
}

int sideband_process(const struct plan *plan, int proc_fd, pid_t pid, uint64_t time_ns,
		     struct strbuf *out)
{
	struct making m = {plan, pid, time_ns, out};
	_free_ char *maps = NULL;
	_tasks_ struct tasks threads = {};
	size_t n;
	int r;

	r = tasks_read(proc_fd, &threads);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	make_comm(&m, proc_fd, pid);
	if (io_read_file(proc_fd, "maps", MAPS_BYTES_MAX, &maps, &n) == 0)
		(void)proc_maps_parse(maps, n, make_map, &m, NULL);
	for (size_t i = 0; i < threads.n; i++)
		if (threads.items[i] != pid)
			make_comm(&m, proc_fd, threads.items[i]);
	return out->failed ? -ENOMEM : 0;
}

int sideband_all_processes(const struct plan *plan, const char *proc_path, struct strbuf *out)
{
	DIR *dir = opendir(proc_path);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return 0;
	while (r == 0 && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		_close_ int fd = -1;

		if (pid <= 0)
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			r = sideband_process(plan, fd, pid, 0, out);
	}
	closedir(dir);
	return r;
}

/* ---- the kernel ---- */

struct kernel {
	uint64_t text, lowest_module;
	const struct plan *plan;
	struct strbuf *out;
};

static int find_text(const struct kallsyms_line *line, void *data)
{
	struct kernel *kernel = data;

	if (line->name_bytes != 5 || memcmp(line->name, "_text", 5) != 0)
		return 0;
	kernel->text = line->address;
	return 1;
}

/*
 * Printing all of /proc/kallsyms costs the kernel 34 ms, so it is read only until _text shows up.
 */
static void read_text_address(const char *proc_path, struct kernel *kernel)
{
	_close_ int fd = -1;
	char path[PATH_MAX], text[16384];
	size_t have = 0, used = 0, total = 0;

	snprintf(path, sizeof(path), "%s/kallsyms", proc_path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && total < KALLSYMS_BYTES_MAX) {
		ssize_t got = read(fd, text + have, sizeof(text) - have);

		if (got <= 0)
			return;
		total += (size_t)got;
		have += (size_t)got;
		if (kallsyms_parse(text, have, find_text, kernel, &used, NULL))
			return;
		have -= used;
		memmove(text, text + used, have);
	}
}

static void make_kernel_map(struct kernel *kernel, const char *name, uint64_t start,
			    uint64_t length_bytes, uint64_t pgoff_bytes)
{
	struct perf_mmap_record map = {
		.pid = UINT32_MAX, /* perf's mark for the host's kernel; tid 0 */
		.start = start,
		.length_bytes = length_bytes,
		.pgoff_bytes = pgoff_bytes,
		.prot = PROT_EXEC,
		.path = name,
	};

	perf_record_make_mmap(layout_of(kernel->plan), PERF_RECORD_MISC_KERNEL, &map,
			      id_of(kernel->plan), kernel->out);
}

static int note_module(const struct modules_line *line, void *data)
{
	struct kernel *kernel = data;

	if (line->address > kernel->text)
		kernel->lowest_module = MIN(kernel->lowest_module, line->address);
	return 0;
}

static int make_module(const struct modules_line *line, void *data)
{
	char name[128];

	if (!line->address)
		return 0;
	snprintf(name, sizeof(name), "[%.*s]", (int)MIN(line->name_bytes, 64u), line->name);
	make_kernel_map(data, name, line->address, line->size_bytes, 0);
	return 0;
}

int sideband_kernel(const struct plan *plan, const char *proc_path, struct strbuf *out)
{
	struct kernel kernel = {.lowest_module = UINT64_MAX, .plan = plan, .out = out};
	_free_ char *modules = NULL;
	char path[PATH_MAX];
	uint64_t end;
	size_t n = 0;

	read_text_address(proc_path, &kernel);
	if (!kernel.text)
		return 0;
	snprintf(path, sizeof(path), "%s/modules", proc_path);
	if (io_read_file(AT_FDCWD, path, MODULES_BYTES_MAX, &modules, &n) == 0)
		(void)modules_parse(modules, n, note_module, &kernel, NULL);
	if (__builtin_add_overflow(kernel.text, KERNEL_ROOM_BYTES, &end))
		end = UINT64_MAX;
	end = MIN(end, kernel.lowest_module);
	make_kernel_map(&kernel, "[kernel.kallsyms]_text", kernel.text, end - kernel.text,
			kernel.text);
	if (modules)
		(void)modules_parse(modules, n, make_module, &kernel, NULL);
	return out->failed ? -ENOMEM : 0;
}

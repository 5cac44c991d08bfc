/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The section of a recording that tells who ran inside its guests: PERF_FEATURE_VPMU_TASKS.
 *
 *   u32 version (1), u32 number of processes, u32 number of tasks, then so many entries:
 *   process  u32 size, u32 guest, i32 pid, u32 number of maps, maps: u64 start, u64 end, u64 offset, path, build-id
 *   task	u32 size, u32 guest, u32 process (UINT32_MAX = a kernel thread), i32 tid, i32 pid, name
 *
 * As in vpmu_section.h: little-endian, strings are u32 length + bytes, an entry's size counts what is behind it, and readers ignore what
 * they do not know at an entry's end. A sample names its task by the number of the entry.
 */
#ifndef FORMAT_VPMU_TASKS_H
#define FORMAT_VPMU_TASKS_H

#include <stddef.h>
#include <stdint.h>
#include "util/strbuf.h"

#define VPMU_TASKS_MAX	    (1u << 20)
#define VPMU_TASKS_MAX_MAPS 65536 /* of a process */
#define VPMU_TASKS_NO_PROCESS UINT32_MAX

struct vpmu_tasks_map {
	uint64_t start, end, offset_bytes;
	const char *path; /* lives during the call */
	uint8_t build_id[20], build_id_bytes;
};

struct vpmu_tasks_process {
	uint32_t guest;
	int32_t pid;
};

struct vpmu_tasks_task {
	uint32_t guest, process;
	int32_t tid, pid;
	const char *name; /* lives during the call */
};

/* ---- writing: head, each process with its maps, each task ---- */

void vpmu_tasks_put_head(struct strbuf *out, uint32_t n_processes, uint32_t n_tasks);
/* Returns where the entry began, for _put_map() and _end(). */
size_t vpmu_tasks_put_process(struct strbuf *out, const struct vpmu_tasks_process *process);
void vpmu_tasks_put_map(struct strbuf *out, size_t entry, const struct vpmu_tasks_map *map);
void vpmu_tasks_put_task(struct strbuf *out, const struct vpmu_tasks_task *task);

/* ---- reading ---- */

/* What a function returns other than 0 ends the reading and is returned. */
struct vpmu_tasks_reader {
	int (*process)(const struct vpmu_tasks_process *process, void *data);
	int (*map)(const struct vpmu_tasks_map *map, void *data); /* of the process before */
	int (*task)(const struct vpmu_tasks_task *task, void *data);
};

/* -EBADMSG on damage, -ENOMEM. */
int vpmu_tasks_decode(const void *bytes, size_t n, const struct vpmu_tasks_reader *reader, void *data);

#endif

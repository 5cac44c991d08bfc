/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who a thread was at a given time: its name and its address space, kept as a history, so that
 * samples can be read in any order. Fed with the side records (MMAP, COMM, FORK, EXIT) of a
 * recording or a session in any order too: each history is sorted by time once, when first asked
 * after a change (recordings interleave rings, so file order is not time order).
 */
#ifndef SESSION_PROCESS_H
#define SESSION_PROCESS_H

#include <stdint.h>
#include "format/perf_record.h"
#include "sym/symbolizer.h"
#include "util/cleanup.h"

struct processes;

struct processes *processes_new(struct vpmu_symbolizer *symbolizer);
struct processes *processes_free(struct processes *processes);
DEFINE_CLEANUP(struct processes *, processes_free)

int processes_mmap(struct processes *p, uint64_t time, const struct perf_mmap_record *map);
int processes_comm(struct processes *p, uint64_t time, const struct perf_comm_record *comm);
int processes_fork(struct processes *p, uint64_t time, const struct perf_task_record *task);
int processes_exit(struct processes *p, uint64_t time, const struct perf_task_record *task);

/*
 * All side records are in: apply them in order of time. To be called before the first lookup and
 * after more records.
 */
int processes_settle(struct processes *p);

/* @name as the views below have it, for whoever is no thread of this host's: *ret_id its number. NULL when out of memory. */
const char *processes_name(struct processes *p, const char *name, uint32_t *ret_id);

struct process_view {
	const char *comm;
	uint32_t comm_id, space;
};

/* The state of @pid, @tid at @time. Unknown threads: "" and SPACE_NONE. */
void processes_at(struct processes *p, uint32_t pid, uint32_t tid, uint64_t time,
		  struct process_view *ret_view);

#endif

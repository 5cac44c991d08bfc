/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who ran inside the guests. A sample of a Linux guest whose kernel is known tells its task (bpf/sample.bpf.c); here tasks get
 * numbers, and their processes get address spaces with the code that they have mapped, read out of the guest's memory soon after.
 *
 * A recording has the numbers in its samples (guest_sample.h) and this table in a section of its own (format/vpmu_tasks.h).
 */
#ifndef SESSION_GUEST_TASKS_H
#define SESSION_GUEST_TASKS_H

#include "bpf/vpmu_bpf.h"
#include "session/process.h"
#include "util/strbuf.h"

#define GUEST_TASK_NONE UINT32_MAX

struct guest_tasks;

struct guest_task_view {
	int32_t pid, tid; /* of the process, and of the thread, in the guest */
	const char *comm;
	uint32_t comm_id; /* as processes_at()'s */
	uint32_t space;	  /* of its user addresses; SPACE_NONE for kernel threads */
};

struct guest_tasks *guest_tasks_new(struct processes *processes, struct vpmu_symbolizer *symbolizer);
struct guest_tasks *guest_tasks_free(struct guest_tasks *tasks);
DEFINE_CLEANUP(struct guest_tasks *, guest_tasks_free)

/*
 * The number of @task of guest @guest, GUEST_TASK_NONE if it has none: not known, or there are too many. @ip: what it was at,
 * if that is a user address, else 0: where nothing is known to be mapped its maps are read again.
 */
uint32_t guest_tasks_note(struct guest_tasks *tasks, uint32_t guest, const struct vpmu_bpf_task *task, uint64_t ip,
			  uint64_t now_ns);

/* Reads the maps of some processes that wait for it, as long as @budget_ns lasts. 0; -ENOMEM. */
int guest_tasks_read_maps(struct guest_tasks *tasks, uint64_t now_ns, uint64_t budget_ns);

/* The maps of one task's process, if they wait for it, and nothing but them: what the files have in memory is left for later. 0; -ENOMEM. */
int guest_tasks_read_now(struct guest_tasks *tasks, uint32_t number, uint64_t now_ns);

/*
 * Tables of what guests' files export, out of their memory, are bounded for all guests and for each. Whether @guest may have another
 * one; and that it has, of @n_bytes.
 */
bool guest_tasks_may_keep(const struct guest_tasks *tasks, uint32_t guest);
void guest_tasks_keep(struct guest_tasks *tasks, uint32_t guest, size_t n_bytes);

/* Nobody has numbers or spaces any more: those that came long ago may go. */
void guest_tasks_forget(struct guest_tasks *tasks);

/* false: there is no such number. */
bool guest_tasks_at(const struct guest_tasks *tasks, uint32_t number, struct guest_task_view *ret_view);

/* The section of a recording, and back: into tasks that are new. -EBADMSG, -ENOMEM. */
int guest_tasks_save(const struct guest_tasks *tasks, struct strbuf *out);
int guest_tasks_load(struct guest_tasks *tasks, const void *bytes, size_t n);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A libperf event list of one target, a thread or a CPU. Lists of libperf's are made for a set of
 * threads that is known at the start; ours come and go one at a time, so each target has its own.
 *
 * Three things to know about libperf 0.0.1 (linux/tools/lib/perf, 5.10 to 6.12):
 *  - perf_evsel__delete() frees the event only: neither the references to its maps, nor the id
 *    arrays that perf_evlist__mmap() makes for events with PERF_FORMAT_ID. Empty maps put before
 *    deletion drop the references; ring.c keeps the id out of read_format during the mapping.
 *  - Events are opened without PERF_FLAG_FD_CLOEXEC, and there is no way to change it.
 *  - perf_evsel__read() takes errno for its result when the kernel has nothing to read, whatever
 *    errno was before.
 */
#ifndef HOST_PERF_LIST_H
#define HOST_PERF_LIST_H

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "util/cleanup.h"

struct perf_evlist;

/*
 * A list of @attrs, not open yet, for @tid (cpu -1) or @cpu (tid -1). The events will begin
 * disabled and be read in @read_format. -ENOMEM.
 */
int perf_list_new(const struct perf_event_attr *attrs, size_t n_attrs, uint64_t read_format,
		  pid_t tid, int cpu, struct perf_evlist **ret_list);

/* Unmaps and closes whatever is open. */
struct perf_evlist *perf_list_free(struct perf_evlist *list);
DEFINE_CLEANUP(struct perf_evlist *, perf_list_free)

#endif

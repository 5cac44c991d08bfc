/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The events of one target (a thread or a CPU) and the ring they share, through libperf. libperf's only home.
 */
#ifndef HOST_RING_H
#define HOST_RING_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmu/error.h>
#include "util/cleanup.h"

struct ring;

/*
 * Opens @attrs (all with PERF_SAMPLE_IDENTIFIER and read_format ID|LOST as the kernel allows) on @tid (cpu -1) or on @cpu (tid -1),
 * disabled, and maps one ring of @ring_bytes. @ret_ids: n_attrs event ids.
 * Errors: the errno of perf_event_open; *ret_failed is the index of the attr that was refused (n_attrs = the mapping).
 */
int ring_open(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid, int cpu, size_t ring_bytes,
	      struct ring **ret_ring, uint64_t *ret_ids, size_t *ret_failed);
struct ring *ring_free(struct ring *ring);
DEFINE_CLEANUP(struct ring *, ring_free)

int ring_enable(struct ring *ring);
int ring_disable(struct ring *ring);

/* Adds the ring to / removes it from an epoll set, with @key as its data. EPOLLHUP = the thread is gone. */
int ring_watch(struct ring *ring, int epoll_fd, uint64_t key);

/*
 * Hands the records there are to @fn, as runs of whole records in one piece where the ring allows it (two pieces at the wrap;
 * a record that straddles the end comes alone, put together). Space is given back after each call.
 * Stops when @fn returns non-zero, and returns that.
 */
int ring_drain(struct ring *ring, int (*fn)(const void *records, size_t n_bytes, void *data), void *data);

#endif

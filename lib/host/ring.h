/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The events of one target (a thread or a CPU) and the ring they share, through libperf.
 *
 * There is nothing to wait on here. libperf hands out no file descriptors, only a poll() of one
 * list, which is of no use for many targets; and waking up for every ring that fills is what a
 * profiler should not do anyway. Whoever owns the rings empties them by the clock, often enough
 * (ring_drain() tells how full one was), and asks ring_hung_up() whenever it
 * looks which threads there are.
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
 * Opens @attrs on @tid (cpu -1) or on @cpu (tid -1), disabled, and maps one ring of @ring_bytes (a
 * power of two, whole pages). Attrs need PERF_SAMPLE_IDENTIFIER; their read_format is set here.
 * @ret_ids: n_attrs event ids.
 * Errors: the errno of perf_event_open; *ret_failed is the index of the attr that was refused
 * (n_attrs = the mapping).
 */
int ring_open(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid, int cpu,
	      size_t ring_bytes, struct ring **ret_ring, uint64_t *ret_ids, size_t *ret_failed);

/* The same with events that ring_attach_chains() can be called for. */
int ring_open_chains(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid, int cpu, size_t ring_bytes,
		     struct ring **ret_ring, uint64_t *ret_ids, size_t *ret_failed);

/*
 * The guest samples of its @n events go to @chains (guest_chains.h) from now on: of those that count guest time and are no
 * tracepoints, in @by_nmi's order: 1 = interrupts by NMI, 0 = by timer, -1 = left alone. Returns 0, or why some could not be
 * attached: those go on as they are.
 */
struct guest_chains;
int ring_attach_chains(struct ring *ring, struct guest_chains *chains, const signed char *by_nmi, size_t n);
struct ring *ring_free(struct ring *ring);
DEFINE_CLEANUP(struct ring *, ring_free)

int ring_enable(struct ring *ring);
int ring_disable(struct ring *ring);

/* The thread is gone: what is in the ring is all there will be. */
bool ring_hung_up(struct ring *ring);

/*
 * How many records the kernel dropped because the ring was full, over the ring's life. Complete,
 * unlike PERF_RECORD_LOST, which is written only when there is room again. -EOPNOTSUPP before
 * Linux 6.0.
 */
int ring_lost(struct ring *ring, uint64_t *ret_lost);

/* How many records ring_drain() dropped because they came damaged out of libperf (ring.c). */
uint64_t ring_cut(const struct ring *ring);

/*
 * Hands the records there are to @fn, as runs of whole records in one piece where the ring allows
 * it (two pieces at the wrap; a record that straddles the end comes alone, put together). Space is
 * given back after each call. Stops when @fn returns non-zero, and returns that. At most one
 * ring's worth, so that a flood cannot keep the caller here.
 */
int ring_drain(struct ring *ring, int (*fn)(const void *records, size_t n_bytes, void *data),
	       void *data);

/*
 * Bytes that the last ring_drain() handed out, and the ring's size: how close to losing records it
 * was.
 */
size_t ring_drained_bytes(const struct ring *ring);
size_t ring_size_bytes(const struct ring *ring);

#endif

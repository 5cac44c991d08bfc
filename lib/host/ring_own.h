/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ring as in ring.h, over events that we open ourselves: libperf hands out no descriptors, and a BPF program can be attached to nothing
 * else. All functions are those of ring.h.
 */
#ifndef HOST_RING_OWN_H
#define HOST_RING_OWN_H

#include "host/guest_chains.h"
#include "host/ring.h"

struct ring_own;

int ring_own_open(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid, int cpu, size_t ring_bytes,
		  struct ring_own **ret_ring, uint64_t *ret_ids, size_t *ret_failed);
struct ring_own *ring_own_free(struct ring_own *ring);
DEFINE_CLEANUP(struct ring_own *, ring_own_free)

/* Event @i gives its guest samples to @chains. */
int ring_own_attach(struct ring_own *ring, size_t i, struct guest_chains *chains, bool by_nmi);

/* Enables or disables all events. */
int ring_own_switch(struct ring_own *ring, bool on);
bool ring_own_hung_up(const struct ring_own *ring);
int ring_own_lost(const struct ring_own *ring, uint64_t *ret_lost);
/* @ret_bytes: how much was handed out. */
int ring_own_drain(struct ring_own *ring, int (*fn)(const void *records, size_t n_bytes, void *data), void *data,
		   size_t *ret_bytes);

#endif

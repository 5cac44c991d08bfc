/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rings over events that we open ourselves must do all that libperf's do: the same stories. */
#include "host/ring.h"

static int open_own(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid, int cpu, size_t ring_bytes,
		    struct ring **ret_ring, uint64_t *ret_ids, size_t *ret_failed)
{
	return ring_open_chains(attrs, n_attrs, tid, cpu, ring_bytes, ret_ring, ret_ids, ret_failed);
}

#define ring_open open_own
#include "test-ring.c"

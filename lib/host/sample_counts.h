/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The maps in which bpf/sample.bpf.c counts a session's samples, and how they are read: bpf/sample_count.bpf.h tells what is in them.
 */
#ifndef HOST_SAMPLE_COUNTS_H
#define HOST_SAMPLE_COUNTS_H

#include <stdbool.h>
#include "host/sample_program.h"
#include "util/cleanup.h"

struct sample_counts;

/* Samples that were the same but for time and CPU. */
struct sample_count {
	const struct vpmu_bpf_count_key *key;
	const struct vpmu_bpf_count *count;
	/*
	 * Of these, n_frames, frames and end are the chain: as in a record of the ring [0], or the host's kernel [0] and user mode
	 * [1], with the sampled address first and with context markers or without, as the kernel has it. NULL = there is none.
	 */
	const struct vpmu_bpf_sample *chains[2];
};

/* @chains: chains are counted too. Errors: -ENOMEM, -EPERM, what the kernel said. The seat must outlive it. */
int sample_counts_open(const struct sample_seat *seat, bool chains, struct sample_counts **ret_counts);
struct sample_counts *sample_counts_free(struct sample_counts *counts);
DEFINE_CLEANUP(struct sample_counts *, sample_counts_free)

/* Whether there was no room for some since the last time: they came through the rings, which have less. */
bool sample_counts_overflowed(const struct sample_counts *counts);

/*
 * Hands over what was counted since the last time, each sample once, whatever goes on meanwhile. This waits for a grace period of RCU:
 * some milliseconds. Stops calling @fn when that returns a negative number, and returns that; what was not handed over then is gone.
 */
int sample_counts_drain(struct sample_counts *counts, int (*fn)(const struct sample_count *count, void *data), void *data);

#endif

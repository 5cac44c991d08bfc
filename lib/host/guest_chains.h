/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The BPF program that takes samples inside guests with their call chains and the tasks that ran: bpf/sample.bpf.c. Attached to a sampling event, it takes
 * over those of its samples that hit a guest; they come out of here instead of out of the event's ring.
 */
#ifndef HOST_GUEST_CHAINS_H
#define HOST_GUEST_CHAINS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmu/error.h>
#include "util/cleanup.h"
#include "bpf/vpmu_bpf.h"
#include "host/sample_counts.h"

struct guest_chains;

/* What is wanted of the program. */
enum {
	GUEST_CHAINS_WALK = 1 << 0, /* call chains; else it takes samples of guests whose tasks can be told (guest_chains_know()) and
				       leaves all others to the kernel */
	GUEST_CHAINS_COUNT = 1 << 1, /* samples of guests and host are counted, if that can be had; see guest_chains_counted() */
	GUEST_CHAINS_HOST = 1 << 2, /* … those of the host by call chains */
};

/*
 * Loads the program, unless another session of this process has (sample_program.h).
 * Errors: -EOPNOTSUPP (built without BPF), -EPERM, what the kernel said; one line that tells, with what to do.
 */
int guest_chains_open(unsigned int wanted, struct guest_chains **ret_chains, struct vpmu_error *reterr);
struct guest_chains *guest_chains_free(struct guest_chains *chains);
DEFINE_CLEANUP(struct guest_chains *, guest_chains_free)

/*
 * @event_fd, the perf event @event_id, gives its guest samples to the program from now on. @by_nmi: a hardware event.
 * Returns a descriptor that holds the attachment, or a negative errno.
 */
int guest_chains_attach(struct guest_chains *chains, int event_fd, uint64_t event_id, bool by_nmi);

/* From now on samples of the guest that process @pid runs tell its task; NULL: not any more. A negative errno. */
int guest_chains_know(struct guest_chains *chains, pid_t pid, const struct vpmu_bpf_guest *guest);

/* Whether samples of guest kernels may bring their stacks: where the stack pointer is in memory (SVM). */
bool guest_chains_take_stacks(const struct guest_chains *chains);

/*
 * Hands over what was sampled since the last time; what has_stack is a whole struct vpmu_bpf_record with its slices. Stops when @fn
 * returns a negative number, and returns that.
 */
int guest_chains_drain(struct guest_chains *chains,
		       int (*fn)(const struct vpmu_bpf_sample *sample, void *data), void *data);

/* Whether samples are counted: a chain's stack, a task's first sample, and what there is no room for, are not. */
bool guest_chains_counted(const struct guest_chains *chains);

/* sample_counts_overflowed(); false if nothing is counted. */
bool guest_chains_overflowed(const struct guest_chains *chains);

/* Hands over what was counted since the last time: sample_counts_drain(). Without effect if nothing is. */
int guest_chains_drain_counts(struct guest_chains *chains, int (*fn)(const struct sample_count *count, void *data), void *data);

/* Bytes of the ring (VPMU_BPF_RING_BYTES) that the last guest_chains_drain() found used. */
size_t guest_chains_drained_bytes(const struct guest_chains *chains);

/* How many guest samples were left to the kernel, by reason. */
void guest_chains_misses(const struct guest_chains *chains, uint64_t ret_misses[VPMU_BPF_MISS_COUNT]);

/* "nested guests", …: whose samples, or what kept us. */
const char *guest_chains_miss_name(enum vpmu_bpf_miss miss);

#endif

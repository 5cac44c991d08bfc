/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clocks of vCPU threads, kept by the BPF program bpf/clock.bpf.c: it is told of threads, and each has a clock that can be
 * read at any time without asking the kernel. Linux 5.17 or later; CAP_BPF and CAP_PERFMON.
 */
#ifndef HOST_CLOCK_PROBE_H
#define HOST_CLOCK_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmu/error.h>
#include "bpf/vpmu_bpf.h"
#include "util/cleanup.h"

#define CLOCK_PROBE_THREADS 2048 /* at a time: 1.3 KiB each */

struct clock_probe;

/*
 * Loads and attaches. Errors: -EOPNOTSUPP (built without BPF), -EPERM, what the kernel said; one line that tells, with what to do.
 */
int clock_probe_open(struct clock_probe **ret_probe, struct vpmu_error *reterr);
struct clock_probe *clock_probe_free(struct clock_probe *probe);
DEFINE_CLEANUP(struct clock_probe *, clock_probe_free)

/* Starts a clock for @tid: a number, or -ENOSPC, or what the kernel said. */
int clock_probe_add(struct clock_probe *probe, pid_t tid);

/* After some were added: sees how the threads of process @pid stand that nothing happens to. */
void clock_probe_look(struct clock_probe *probe, pid_t pid);

void clock_probe_remove(struct clock_probe *probe, int clock);

/*
 * The clock as it stands at @now_ns, CLOCK_MONOTONIC. -EAGAIN: it has been in the middle of a change all the time that we
 * were ready to wait.
 */
int clock_probe_read(const struct clock_probe *probe, int clock, uint64_t now_ns,
		     struct vpmu_bpf_clock *ret_clock);

/*
 * Hands over who had the CPU while threads of clocks waited, and how long, since the last time. Stops when @fn returns a negative number, and
 * returns that. To be done now and then (the kernel has room for 2048 pairs; what does not fit is not told), and before a clock is removed.
 */
typedef int (*clock_probe_competitor_fn)(const struct vpmu_bpf_competitor_key *key,
					 const struct vpmu_bpf_competitor *value, void *data);
int clock_probe_drain(struct clock_probe *probe, clock_probe_competitor_fn fn, void *data);

/* Whether this KVM has kvm_entry and kvm_exit, as far as was seen; isa: whose exit reasons they are (KVM_ISA_*), 0 = not known yet. */
bool clock_probe_sees_entries(const struct clock_probe *probe, uint32_t *ret_isa);

#endif

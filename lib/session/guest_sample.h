/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest sample with its call chain, as it stands in a recording.
 *
 * It is a PERF_RECORD_SAMPLE like any other of its event, so everything downstream, ours and perf's, treats it as one. The
 * question is what to write into its chain. PERF_CONTEXT_GUEST_KERNEL and PERF_CONTEXT_GUEST_USER are made for it, but perf
 * (6.1, tools/perf/util/machine.c, add_callchain_ip()) does not know them there and drops the whole chain. With KERNEL or USER
 * in their place it keeps the chain and looks the addresses up in the machine that the sample belongs to, which the record's
 * cpumode says is the guest. No kernel writes a chain with host frames into a guest sample, so the two cannot be
 * taken for each other, and readers of ours turn the marker back into what it means.
 *
 *	cpumode GUEST_USER: … | n | CONTEXT_USER | ip | return address … | [VPMU_CONTEXT_CUT + why] | [task]
 *
 * A kernel's chain has CONTEXT_KERNEL, and then CONTEXT_USER where it goes on in user mode.
 *
 * The last words stand behind the n words of the chain, where perf does not look: one is there if the walk did
 * not reach the outermost frame (inside the chain perf would drop everything because of it), the other if it is known which of
 * the guest's tasks ran: its number (session/guest_tasks.h) under a mark that no address, no marker and no period has. It stands
 * at the end of samples without chains, too.
 */
#ifndef SESSION_GUEST_SAMPLE_H
#define SESSION_GUEST_SAMPLE_H

#include "bpf/vpmu_bpf.h"
#include "format/perf_record.h"
#include "session/guest_tasks.h"
#include "session/guest_unwind.h"
#include "session/plan.h"

/* The markers, the addresses, and the words behind them. */
#define GUEST_SAMPLE_WORDS (VPMU_BPF_MAX_ADDRESSES + 4)

#define GUEST_SAMPLE_TASK_MARK 0x76706d7500000000u /* "vpmu" */

union guest_sample_record {
	struct plan_sample sample;
	uint64_t words[(sizeof(struct plan_sample) / sizeof(uint64_t)) + GUEST_SAMPLE_WORDS];
};

/* @from as a record of the plan's events. @chain: its chain; NULL = they have no room for one. @task: a number, or GUEST_TASK_NONE. */
void guest_sample_write(const struct vpmu_bpf_sample *from, pid_t pid, pid_t tid, const struct guest_chain *chain, uint32_t task,
			union guest_sample_record *ret_record);

/* The task of a sample in our own recordings: its number, GUEST_TASK_NONE if it has none. */
uint32_t guest_sample_task(const struct perf_event_header *record);

/* Fills in what @record says of the task that ran, if it is a guest sample: guest_pid, guest_tid, comm, comm_id, space. */
void guest_sample_describe(const struct perf_event_header *record, const struct guest_tasks *tasks,
			   struct vpmu_sample *sample);

/*
 * What such a record's chain means: @words are its n words and, if the record is longer than they, the one behind. Copies it to
 * @into, with the guest's markers and, at the end, VPMU_CONTEXT_CUT + why. Returns its length, 0 if this is not one: the chain
 * is what the kernel wrote.
 */
size_t guest_sample_read(const struct perf_event_header *record, const uint64_t *words, size_t n,
			 uint64_t into[GUEST_SAMPLE_WORDS]);

/* Counts the chain of @times guest samples, as guest_sample_read() gave it. */
void guest_sample_count(const uint64_t *chain, size_t n, uint64_t times, struct vpmu_coverage *coverage);

#endif

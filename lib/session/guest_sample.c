/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "session/guest_sample.h"
#include "util/macro.h"

_Static_assert((int)VPMU_CHAIN_COMPLETE == VPMU_BPF_END_COMPLETE &&
		       (int)VPMU_CHAIN_DEPTH == VPMU_BPF_END_DEPTH &&
		       (int)VPMU_CHAIN_NO_MAPPING == VPMU_BPF_END_NO_MAPPING &&
		       (int)VPMU_CHAIN_NO_MEMORY == VPMU_BPF_END_NO_MEMORY &&
		       (int)VPMU_CHAIN_ABSENT == VPMU_BPF_END_ABSENT &&
		       (int)VPMU_CHAIN_BAD_FRAME == VPMU_BPF_END_BAD_FRAME &&
		       (int)VPMU_CHAIN_BAD_RETURN == VPMU_BPF_END_BAD_RETURN &&
		       (int)VPMU_CHAIN_END_COUNT == VPMU_BPF_END_COUNT,
	       "the program's ends are the library's");

static bool is_cut(uint64_t word)
{
	return word - VPMU_CONTEXT_CUT < VPMU_CHAIN_END_COUNT;
}

void guest_sample_write(const struct vpmu_bpf_sample *from, pid_t pid, pid_t tid,
			union guest_sample_record *ret)
{
	size_t n = MIN(from->n_frames, VPMU_BPF_MAX_ADDRESSES - 1u), words = 2 + n;
	uint64_t *chain = ret->sample.chain;

	ret->sample = (struct plan_sample){
		.header = {
			.type = PERF_RECORD_SAMPLE,
			.misc = from->user ? PERF_RECORD_MISC_GUEST_USER : PERF_RECORD_MISC_GUEST_KERNEL,
		},
		.id = from->event_id,
		.ip = from->ip,
		.pid = (uint32_t)pid,
		.tid = (uint32_t)tid,
		.time_ns = from->time_ns,
		.cpu = from->cpu,
		.period = from->period,
		.n_chain = words,
	};
	chain[0] = from->user ? VPMU_CONTEXT_USER : VPMU_CONTEXT_KERNEL;
	chain[1] = from->ip;
	memcpy(chain + 2, from->frames, n * sizeof(*chain));
	if (from->end != VPMU_BPF_END_COMPLETE)
		chain[words++] = VPMU_CONTEXT_CUT + from->end;
	ret->sample.header.size = (uint16_t)(sizeof(ret->sample) + words * sizeof(*chain));
}

size_t guest_sample_read(const struct perf_event_header *record, const uint64_t *words, size_t n,
			 uint64_t into[GUEST_SAMPLE_WORDS])
{
	unsigned int mode = record->misc & PERF_RECORD_MISC_CPUMODE_MASK;
	bool user = mode == PERF_RECORD_MISC_GUEST_USER;

	if ((!user && mode != PERF_RECORD_MISC_GUEST_KERNEL) || n < 2 || n > GUEST_SAMPLE_WORDS - 1 ||
	    words[0] != (user ? VPMU_CONTEXT_USER : VPMU_CONTEXT_KERNEL) || words[1] >= VPMU_CONTEXT_MAX)
		return 0;
	memcpy(into, words, n * sizeof(*words));
	into[0] = user ? VPMU_CONTEXT_GUEST_USER : VPMU_CONTEXT_GUEST_KERNEL;
	/* One word more, and nothing behind it. */
	if ((const char *)record + record->size == (const char *)(words + n + 1) && is_cut(words[n])) {
		into[n] = words[n];
		n++;
	}
	return n;
}

void guest_sample_count(const uint64_t *chain, size_t n, struct vpmu_coverage *coverage)
{
	uint64_t end = is_cut(chain[n - 1]) ? chain[n - 1] - VPMU_CONTEXT_CUT : VPMU_CHAIN_COMPLETE;

	coverage->guest_chains++;
	coverage->chain_ends[end]++;
	coverage->truncated_chains += end != VPMU_CHAIN_COMPLETE;
}

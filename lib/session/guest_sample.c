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
		       (int)VPMU_CHAIN_NO_UNWIND == VPMU_BPF_END_NO_UNWIND &&
		       (int)VPMU_CHAIN_NO_STACK == VPMU_BPF_END_NO_STACK &&
		       (int)VPMU_CHAIN_NESTED == VPMU_BPF_END_NESTED &&
		       (int)VPMU_CHAIN_END_COUNT == VPMU_BPF_END_COUNT && VPMU_ADDRESS_NESTED == VPMU_BPF_NESTED_IP,
	       "the program's ends are the library's");

static bool is_cut(uint64_t word)
{
	return word - VPMU_CONTEXT_CUT < VPMU_CHAIN_END_COUNT;
}

void guest_sample_write(const struct vpmu_bpf_sample *from, pid_t pid, pid_t tid, const struct guest_chain *chain, uint32_t task,
			union guest_sample_record *ret)
{
	uint64_t *end = chain ? ret->sample.chain : &ret->sample.n_chain;

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
	};
	if (chain) {
		ret->sample.n_chain = 2 + chain->n;
		*end++ = from->user ? VPMU_CONTEXT_USER : VPMU_CONTEXT_KERNEL;
		*end++ = from->ip;
		memcpy(end, chain->words, chain->n * sizeof(*end));
		end += chain->n;
		if (chain->end != VPMU_CHAIN_COMPLETE)
			*end++ = VPMU_CONTEXT_CUT + chain->end;
	}
	if (task != GUEST_TASK_NONE)
		*end++ = GUEST_SAMPLE_TASK_MARK | task;
	ret->sample.header.size = (uint16_t)((char *)end - (char *)ret);
}

uint32_t guest_sample_task(const struct perf_event_header *record)
{
	unsigned int mode = record->misc & PERF_RECORD_MISC_CPUMODE_MASK;
	uint64_t last;

	if ((mode != PERF_RECORD_MISC_GUEST_USER && mode != PERF_RECORD_MISC_GUEST_KERNEL) ||
	    record->size < sizeof(*record) + sizeof(last))
		return GUEST_TASK_NONE;
	memcpy(&last, (const char *)record + record->size - sizeof(last), sizeof(last));
	return last >> 32 == GUEST_SAMPLE_TASK_MARK >> 32 ? (uint32_t)last : GUEST_TASK_NONE;
}

void guest_sample_describe(const struct perf_event_header *record, const struct guest_tasks *tasks,
			   struct vpmu_sample *sample)
{
	struct guest_task_view view;

	sample->guest_pid = sample->guest_tid = -1;
	if (!(VPMU_SIDES_GUEST & 1u << sample->side))
		return;
	/* The host's thread is the vCPU: its mappings are not the guest's. */
	sample->space = SPACE_NONE;
	if (!guest_tasks_at(tasks, guest_sample_task(record), &view))
		return;
	sample->guest_pid = view.pid;
	sample->guest_tid = view.tid;
	sample->comm = view.comm;
	sample->comm_id = view.comm_id;
	sample->space = view.space;
}

/* Addresses, but for one marker at most, where a kernel's chain goes on in user mode. */
static bool turn_markers(uint64_t *words, size_t n, bool user)
{
	for (size_t i = 2; i < n; i++) {
		if (words[i] < VPMU_CONTEXT_MAX)
			continue;
		if (user || words[i] != VPMU_CONTEXT_USER || i + 1 == n)
			return false;
		words[i] = VPMU_CONTEXT_GUEST_USER;
		user = true;
	}
	return true;
}

size_t guest_sample_read(const struct perf_event_header *record, const uint64_t *words, size_t n,
			 uint64_t into[GUEST_SAMPLE_WORDS])
{
	unsigned int mode = record->misc & PERF_RECORD_MISC_CPUMODE_MASK;
	bool user = mode == PERF_RECORD_MISC_GUEST_USER;
	const char *end = (const char *)record + record->size;

	if ((!user && mode != PERF_RECORD_MISC_GUEST_KERNEL) || n < 2 || n > GUEST_SAMPLE_WORDS - 2 ||
	    words[0] != (user ? VPMU_CONTEXT_USER : VPMU_CONTEXT_KERNEL) || words[1] >= VPMU_CONTEXT_MAX)
		return 0;
	memcpy(into, words, n * sizeof(*words));
	into[0] = user ? VPMU_CONTEXT_GUEST_USER : VPMU_CONTEXT_GUEST_KERNEL;
	if (!turn_markers(into, n, user))
		return 0;
	/* One word more, and nothing but the task behind it. */
	if (guest_sample_task(record) != GUEST_TASK_NONE)
		end -= sizeof(*words);
	if (end == (const char *)(words + n + 1) && is_cut(words[n])) {
		into[n] = words[n];
		n++;
	}
	return n;
}

void guest_sample_count(const uint64_t *chain, size_t n, uint64_t times, struct vpmu_coverage *coverage)
{
	uint64_t end = is_cut(chain[n - 1]) ? chain[n - 1] - VPMU_CONTEXT_CUT : VPMU_CHAIN_COMPLETE;

	coverage->guest_chains += times;
	coverage->chain_ends[end] += times;
	coverage->truncated_chains += end != VPMU_CHAIN_COMPLETE ? times : 0;
}

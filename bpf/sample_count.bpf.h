/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Samples counted in the kernel, for sessions that want profiles and nothing else: what is the same but for its time is one entry
 * of a hash map with a count, so that user space has as much to do as there are different places, not samples.
 *
 * Call chains are entries of a map of their own, by a hash of their addresses; a count has the hash as the chain's name. Another chain with the same hash
 * is told by its addresses, so no sample is ever given a chain that is not its own.
 *
 * Each session has two generations of both maps. User space switches to the other one, waits until no program can be left that
 * began before (bpf_map_update_elem() on a map of maps waits for RCU: maybe_wait_bpf_programs(), kernel/bpf/syscall.c, since Linux 5.0, 1ae80cf31938),
 * and then reads the first and empties it. So nothing is lost or counted twice.
 *
 * What does not fit goes the way of samples that are not counted: into the ring buffer if a guest's, into the
 * event's ring if the host's. So does a task's first sample in each generation: what it has mapped should be read
 * while it lives.
 */
#ifndef SAMPLE_COUNT_BPF_H
#define SAMPLE_COUNT_BPF_H

#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "vpmu_bpf.h"

/* How large they are is up to who puts them in. */
struct vpmu_count_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct vpmu_bpf_count_key));
	__uint(value_size, sizeof(struct vpmu_bpf_count));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, VPMU_BPF_MAX_SESSIONS * 2);
	__type(key, __u32);
	__array(values, struct vpmu_count_map);
} vpmu_counts SEC(".maps");

/* Of the samples only n_frames, end and frames matter: the first one with that chain is kept as it is. */
struct vpmu_chain_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u64));
	__uint(value_size, sizeof(struct vpmu_bpf_sample));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, VPMU_BPF_MAX_SESSIONS * 2);
	__type(key, __u32);
	__array(values, struct vpmu_chain_map);
} vpmu_chains SEC(".maps");

/* By session: the generation that is counted in. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VPMU_BPF_MAX_SESSIONS);
	__type(key, __u32);
	__type(value, __u32);
} vpmu_generations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VPMU_BPF_MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct vpmu_bpf_seen);
} vpmu_seen SEC(".maps");

#define COUNT_MULTIPLIER 0x9e3779b97f4a7c15ULL /* 2^64 by the golden ratio */

static __always_inline __u64 count_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * COUNT_MULTIPLIER;
	return hash ^ hash >> 29;
}

/* Never 0. */
static __noinline __u64 chain_name(const struct vpmu_bpf_sample *sample)
{
	__u64 hash;
	__u32 n;

	if (!sample)
		return 1;
	n = sample->n_frames;
	hash = count_mix(sample->end, n);
	for (__u32 i = 0; i < VPMU_BPF_MAX_ADDRESSES - 1 && i < n; i++)
		hash = count_mix(hash, sample->frames[i]);
	return hash ? hash : 1;
}

static __noinline int same_chain(const struct vpmu_bpf_sample *a, const struct vpmu_bpf_sample *b)
{
	__u32 n;

	if (!a || !b || a->n_frames != b->n_frames || a->end != b->end)
		return 0;
	n = a->n_frames;
	for (__u32 i = 0; i < VPMU_BPF_MAX_ADDRESSES - 1 && i < n; i++)
		if (a->frames[i] != b->frames[i])
			return 0;
	return 1;
}

/* Keeps the chain of @sample. 0: there is no room for it. What another CPU puts in meanwhile is there the second time. */
static __always_inline __u64 keep_chain(__u32 generation, const struct vpmu_bpf_sample *sample)
{
	void *chains = bpf_map_lookup_elem(&vpmu_chains, &generation);
	const struct vpmu_bpf_sample *known;
	__u64 name = chain_name(sample);

	if (!chains)
		return 0;
	known = bpf_map_lookup_elem(chains, &name);
	if (!known) {
		if (bpf_map_update_elem(chains, &name, sample, BPF_NOEXIST) == 0)
			return name;
		known = bpf_map_lookup_elem(chains, &name);
	}
	return same_chain(known, sample) ? name : 0;
}

static __always_inline bool count_key(__u32 generation, const struct vpmu_bpf_count_key *key, __u64 weight)
{
	struct vpmu_bpf_count one = {.n = 1, .weight = weight, .time_ns = bpf_ktime_get_ns(), .cpu = bpf_get_smp_processor_id()};
	void *counts = bpf_map_lookup_elem(&vpmu_counts, &generation);
	struct vpmu_bpf_count *count;

	if (!counts)
		return false;
	count = bpf_map_lookup_elem(counts, key);
	if (!count) {
		if (bpf_map_update_elem(counts, key, &one, BPF_NOEXIST) == 0)
			return true;
		count = bpf_map_lookup_elem(counts, key);
		if (!count)
			return false;
	}
	/* A thread is on one CPU, but the idle task is on all of them. */
	__sync_fetch_and_add(&count->n, 1);
	__sync_fetch_and_add(&count->weight, weight);
	count->time_ns = one.time_ns;
	count->cpu = one.cpu;
	return true;
}

/* Notes that a sample does not fit, so that user space comes before its time. */
static __always_inline int unfit(__u32 session)
{
	struct vpmu_bpf_seen *seen = bpf_map_lookup_elem(&vpmu_seen, &session);

	if (seen)
		seen->n_unfit++;
	return 0;
}

static __always_inline __u32 current_generation(__u32 session)
{
	const __u32 *generation = bpf_map_lookup_elem(&vpmu_generations, &session);

	return VPMU_BPF_GENERATION(session, generation ? *generation : 0);
}

/* Whether the task is seen for the first time in this generation. Two may have the same bit: the second one is noticed later then. */
static __always_inline bool is_new_task(__u32 session, const struct vpmu_bpf_sample *sample)
{
	struct vpmu_bpf_seen *seen = bpf_map_lookup_elem(&vpmu_seen, &session);
	const struct vpmu_bpf_task *task = &sample->task;
	__u64 hash, bit, comm[2];
	__u64 *word;

	if (!seen || !task->gva)
		return false;
	__builtin_memcpy(comm, task->comm, sizeof(comm));
	hash = count_mix(count_mix(sample->pid, task->gva), task->mm_gva);
	hash = count_mix(count_mix(count_mix(hash, (__u64)(__u32)task->pid << 32 | (__u32)task->tgid), comm[0]), comm[1]);
	word = &seen->words[hash >> 32 & (VPMU_BPF_SEEN_WORDS - 1)];
	bit = 1ULL << (hash & 63);
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

/* Whether @sample, complete and without a stack, was counted. */
static __noinline int count_guest_sample(__u32 session, const struct vpmu_bpf_sample *sample)
{
	struct vpmu_bpf_count_key key = {};
	__u32 generation;

	session &= VPMU_BPF_MAX_SESSIONS - 1;
	if (!sample || is_new_task(session, sample))
		return 0;
	generation = current_generation(session);
	key.event_id = sample->event_id;
	key.ip = sample->ip;
	key.pid = sample->pid;
	key.tid = sample->tid;
	key.guest = 1;
	key.user = sample->user;
	if (sample->task.gva)
		key.task = sample->task;
	if (sample->n_frames || sample->end != VPMU_BPF_END_COMPLETE) {
		key.chains[0] = keep_chain(generation, sample);
		if (!key.chains[0])
			return unfit(session);
	}
	return count_key(generation, &key, sample->period) || unfit(session);
}

/* The host's chain of one mode: its name, 0 = it has none. False: it must be left to the kernel. */
static __always_inline bool keep_host_chain(struct bpf_perf_event_data *ctx, __u32 generation, struct vpmu_bpf_sample *sample, __u64 flags,
					    __u64 *ret_name)
{
	long n = bpf_get_stack(ctx, sample->frames, sizeof(sample->frames), flags);

	*ret_name = 0;
	if (n <= 0)
		return true;
	/* There may be more than fit. */
	if (n >= (long)sizeof(sample->frames))
		return false;
	sample->n_frames = (__u8)((__u64)n / 8);
	sample->end = VPMU_BPF_END_COMPLETE;
	*ret_name = keep_chain(generation, sample);
	return *ret_name != 0;
}

/* Whether @sample, of which everything but its chain is filled in, was counted. */
static __always_inline int count_host_sample(struct bpf_perf_event_data *ctx, __u64 cookie, struct vpmu_bpf_sample *sample)
{
	__u32 session = VPMU_BPF_COOKIE_SESSION(cookie), generation = current_generation(session);
	struct vpmu_bpf_count_key key = {};

	key.event_id = sample->event_id;
	key.ip = sample->ip;
	key.pid = sample->pid;
	key.tid = sample->tid;
	key.user = sample->user;
	if ((cookie & VPMU_BPF_COOKIE_HOST_CHAINS) &&
	    (!keep_host_chain(ctx, generation, sample, 0, &key.chains[0]) ||
	     !keep_host_chain(ctx, generation, sample, BPF_F_USER_STACK, &key.chains[1])))
		return unfit(session);
	return count_key(generation, &key, sample->period) || unfit(session);
}

#endif

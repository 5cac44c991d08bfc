/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads whose exits are accounted: those that user space puts into vpmu_places, each with
 * zeroed sums in vpmu_threads. All others cost a look, which is what filters guests, too. (In a
 * header, for tests/bench measures it.)
 */
#ifndef EXIT_THREADS_BPF_H
#define EXIT_THREADS_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "vpmu_bpf.h"

__u32 vpmu_epoch;      /* from 1 on: user space sets it */
__u32 vpmu_generation; /* of vpmu_places; from 1 on */

/* The sums. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vpmu_bpf_exit_thread);
} vpmu_threads SEC(".maps");

/* Which are whose: places in vpmu_threads by thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} vpmu_places SEC(".maps");

/*
 * What was looked up last on each CPU: a vCPU's thread leaves and enters many times before another
 * one takes its turn. Good for as long as user space has not changed vpmu_places.
 */
struct last_look {
	__u32 tid, generation;
	__u32 place1; /* plus 1; 0 = it is nobody's that we know */
	__u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct last_look);
} vpmu_looks SEC(".maps");

static __always_inline __u32 exit_epoch(void)
{
	return *(volatile __u32 *)&vpmu_epoch;
}

static __always_inline __u32 current_tid(void)
{
	return (__u32)bpf_get_current_pid_tgid();
}

/* In the thread itself. */
static __always_inline struct vpmu_bpf_exit_thread *find_current(__u32 tid)
{
	__u32 zero = 0, generation = *(volatile __u32 *)&vpmu_generation, place;
	struct last_look *look = bpf_map_lookup_elem(&vpmu_looks, &zero);
	struct vpmu_bpf_exit_thread *t;

	if (!look)
		return NULL;
	if (look->tid != tid || look->generation != generation) {
		__u32 *found = bpf_map_lookup_elem(&vpmu_places, &tid);

		look->place1 = found ? *found + 1 : 0;
		look->generation = generation;
		look->tid = tid;
	}
	if (!look->place1)
		return NULL;
	place = look->place1 - 1;
	t = bpf_map_lookup_elem(&vpmu_threads, &place);
	return t && t->tid == tid ? t : NULL;
}

/* From outside. */
static __always_inline struct vpmu_bpf_exit_thread *find_thread(__u32 tid)
{
	__u32 *place = bpf_map_lookup_elem(&vpmu_places, &tid);
	struct vpmu_bpf_exit_thread *t = place ? bpf_map_lookup_elem(&vpmu_threads, place) : NULL;

	return t && t->tid == tid ? t : NULL;
}

#endif

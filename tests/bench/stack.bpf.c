/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk along a guest's frames and the copy of its kernel's stack on guest memory that is made up: a buffer of the process that runs the program.
 * The end is as in bpf/sample.bpf.c, all goes into a ring buffer. What reading registers and memory slots takes is not in it.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "bpf/vpmu_bpf.h"

struct guest_memory {
	__u64 hva, n_bytes;
};

static __always_inline __u64 guest_hva(struct guest_memory *memory, __u64 gpa)
{
	return gpa < memory->n_bytes ? memory->hva + gpa : 0;
}

#define guest_copy(dst, n, hva) bpf_probe_read_user(dst, n, (const void *)(hva))
#define guest_loop(n, fn, ctx)	bpf_loop(n, fn, ctx, 0)
#define guest_walk_function	__noinline

#include "bpf/guest_stack.h"

char LICENSE[] SEC("license") = "GPL";

/* Set by stack.c. */
__u64 ram_hva, ram_bytes, cr3, bp, sp, ip, task_gva;
struct vpmu_bpf_guest facts;
__u64 n_frames, n_bytes; /* what came of the last run */

struct scratch {
	struct guest_stack_copy copy;
	struct guest_walk walk;
	struct vpmu_bpf_stack stack;
	__u8 bytes[GUEST_STACK_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, VPMU_BPF_RING_BYTES);
} ring SEC(".maps");

static __always_inline struct scratch *prepare(void)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratches, &zero);

	if (!s)
		return NULL;
	s->walk.memory.hva = ram_hva;
	s->walk.memory.n_bytes = ram_bytes;
	s->walk.cr3 = cr3;
	s->walk.levels = 4;
	s->walk.bp = bp;
	s->walk.sp = sp;
	s->walk.ip = s->walk.sample.ip = ip;
	s->walk.upper = 1;
	return s;
}

SEC("raw_tp/sys_enter")
int bench_frames(void *ctx)
{
	struct scratch *s = prepare();
	__u32 n;

	(void)ctx;
	if (!s)
		return 0;
	guest_walk_frames(&s->walk);
	n = s->walk.sample.n_frames;
	n_frames = n;
	if (n < VPMU_BPF_MAX_ADDRESSES)
		bpf_ringbuf_output(&ring, &s->walk.sample, VPMU_BPF_SAMPLE_BYTES(n), BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("raw_tp/sys_enter")
int bench_stack(void *ctx)
{
	struct scratch *s = prepare();
	__u32 n;

	(void)ctx;
	if (!s)
		return 0;
	s->walk.sample.task.gva = task_gva;
	s->stack.sp = sp;
	n = guest_copy_stack(&s->walk, &facts, &s->stack, &s->copy, s->bytes);
	n_bytes = n;
	if (n <= GUEST_STACK_BYTES)
		bpf_ringbuf_output(&ring, &s->walk.sample, sizeof(struct vpmu_bpf_record) + n, BPF_RB_NO_WAKEUP);
	return 0;
}

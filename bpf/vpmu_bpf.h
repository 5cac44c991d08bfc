/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What BPF programs and user space say to each other: the only header that both include. Fields
 * have fixed widths, padding is spelled out, sizes are asserted on both sides.
 */
#ifndef VPMU_BPF_H
#define VPMU_BPF_H

#include <linux/types.h>

/* Addresses of a chain, the sampled one included: kernel.perf_event_max_stack's default. */
#define VPMU_BPF_MAX_ADDRESSES 127

/* How the walk along a guest's frames ended: enum vpmu_chain_end of <vpmu/sample.h>. */
enum vpmu_bpf_end {
	VPMU_BPF_END_COMPLETE = 0,  /* at the outermost frame: its saved frame pointer is 0 */
	VPMU_BPF_END_DEPTH = 1,	    /* there are more than VPMU_BPF_MAX_ADDRESSES */
	VPMU_BPF_END_NO_MAPPING = 2, /* the guest's page tables have nothing there */
	VPMU_BPF_END_NO_MEMORY = 3,  /* a guest-physical address that is no RAM */
	VPMU_BPF_END_ABSENT = 4,     /* RAM that the host has not got in memory just now */
	VPMU_BPF_END_BAD_FRAME = 5,  /* the frame pointer is odd, goes down, or to the other half */
	VPMU_BPF_END_BAD_RETURN = 6, /* no code can be at the return address */
	VPMU_BPF_END_COUNT = 7,
};

/* Why a sample inside a guest was left to the kernel, which records it without a chain. */
enum vpmu_bpf_miss {
	VPMU_BPF_MISS_NESTED = 0,    /* a guest of the guest was running */
	VPMU_BPF_MISS_PROTECTED = 1, /* registers are hidden from the host: SEV-ES, TDX */
	VPMU_BPF_MISS_MODE = 2,	     /* not 64-bit code */
	VPMU_BPF_MISS_REGISTERS = 3, /* RIP or CR3 are in the processor (VMX), out of reach */
	VPMU_BPF_MISS_ROOM = 4,	     /* the ring buffer was full, or taken at this moment */
	VPMU_BPF_MISS_COUNT = 5,
};

/* Which vendor's structures surround a vCPU. */
enum vpmu_bpf_flavour {
	VPMU_BPF_FLAVOUR_GENERIC = 0, /* registers where common KVM code keeps them */
	VPMU_BPF_FLAVOUR_SVM = 1,
	VPMU_BPF_FLAVOUR_VMX = 2,
};

/* The cookie of an attachment: the perf event's id, and whether it interrupts by NMI. */
#define VPMU_BPF_COOKIE_NMI (1ULL << 63)

/* A sample inside a guest. Behind it follow n_frames return addresses, innermost first. */
struct vpmu_bpf_sample {
	__u64 event_id;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 ip;
	__u64 period;
	__u32 pid, tid; /* as the first PID namespace counts */
	__u32 cpu;
	__u8 user; /* 1 = guest user mode, 0 = guest kernel */
	__u8 end;  /* enum vpmu_bpf_end */
	__u16 n_frames;
	__u64 frames[VPMU_BPF_MAX_ADDRESSES - 1];
};
_Static_assert(sizeof(struct vpmu_bpf_sample) == 48 + 126 * 8, "both sides agree on the record");

#define VPMU_BPF_SAMPLE_BYTES(n_frames) (48 + (n_frames) * 8)

/* A memory slot of a virtual machine, as slots.bpf.c hands it out. */
#define VPMU_BPF_MAX_SLOTS 512
#define VPMU_BPF_MAX_ROOTS 64

struct vpmu_bpf_slot {
	__u64 base_gfn, n_pages, hva;
	__u32 flags, unused;
};

_Static_assert(sizeof(struct vpmu_bpf_slot) == 32, "the same on both sides");

#endif

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
	VPMU_BPF_END_NO_UNWIND = 7,  /* the rest are user space's: no unwind table tells of that address */
	VPMU_BPF_END_NO_STACK = 8,   /* it goes on where no stack was copied */
	VPMU_BPF_END_NESTED = 9,     /* a guest of the guest ran */
	VPMU_BPF_END_COUNT = 10,
};

/* The ip of such a sample: VPMU_ADDRESS_NESTED of <vpmu/sample.h>. */
#define VPMU_BPF_NESTED_IP (1ULL << 63)

/* Why a sample inside a guest was left to the kernel, which records it without a chain. */
enum vpmu_bpf_miss {
	VPMU_BPF_MISS_NESTED = 0,    /* a guest of the guest was running: the only ones that are not left to the kernel, only told as such */
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

/*
 * One program serves many sessions, each with a number and a buffer of its own. The cookie of an attachment: the perf event's id,
 * bits 48 and up: the session, whether it wants call chains, and whether the event interrupts by NMI.
 */
#define VPMU_BPF_MAX_SESSIONS 64
#define VPMU_BPF_COOKIE(event_id, session) ((event_id) | (__u64)(session) << 48)
#define VPMU_BPF_COOKIE_HOST_CHAINS (1ULL << 60) /* of what is counted */
#define VPMU_BPF_COOKIE_COUNT (1ULL << 61) /* samples go into maps: sample_count.bpf.h */
#define VPMU_BPF_COOKIE_CHAINS (1ULL << 62)
#define VPMU_BPF_COOKIE_NMI (1ULL << 63)
#define VPMU_BPF_COOKIE_ID(cookie) ((cookie) & ((1ULL << 48) - 1))
#define VPMU_BPF_COOKIE_SESSION(cookie) ((__u32)((cookie) >> 48) & (VPMU_BPF_MAX_SESSIONS - 1))

/*
 * What it takes to tell which task of a Linux guest is running. User space finds it once it knows the guest's kernel; by the
 * process of the guest's VMM.
 */
struct vpmu_bpf_guest {
	__u64 kernel_cr3;     /* the kernel's own page tables */
	__u64 current_offset; /* of the pointer to the running task, from the base of a CPU's own data */
	__u32 levels;	      /* of page tables */
	__u32 pid_offset, comm_offset, mm_offset; /* in struct task_struct; tgid is behind pid */
	/* For kernel stacks to be copied: guest_stack.h. */
	__u32 stack_bytes;	   /* their size; 0 = they are not */
	__u32 stack_offset;	   /* in struct task_struct */
	__u32 pgd_offset;	   /* in struct mm_struct, of what its page tables' address is; 0 = not known */
	__u32 stack_padding_bytes; /* between a task's struct pt_regs and the top */
	__u32 irq_top_bytes;	   /* from where hardirq_stack_ptr points to the top */
	__u32 unused;
	__u64 hardirq_offset;	   /* of hardirq_stack_ptr, from the base of a CPU's own data; 0 = not known */
	__u64 exceptions_offset;   /* of cea_exception_stacks, as before; 0 = not known */
	__u32 exceptions_bytes;	   /* of what it points at */
	__u32 user_stack_bytes;	   /* so many of user mode's stack are copied; 0 = none */
};

/* A guest as a session knows it. */
struct vpmu_bpf_guest_key {
	__u32 session;
	__u32 pid;
};

#define VPMU_BPF_MAX_GUESTS 16384 /* of all sessions */
#define VPMU_BPF_RING_BYTES (1024 * 1024)
#define VPMU_BPF_COMM_BYTES 16

/* The guest's task that was running. */
struct vpmu_bpf_task {
	__u64 gva;    /* 0 = not known */
	__u64 mm_gva; /* of its address space; 0 = a kernel thread */
	__s32 pid, tgid;
	char comm[VPMU_BPF_COMM_BYTES];
};

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
	__u8 n_frames;
	__u8 has_stack; /* 1 = what is behind is a struct vpmu_bpf_record: frames are those of user mode, if any */
	struct vpmu_bpf_task task;
	__u64 frames[VPMU_BPF_MAX_ADDRESSES - 1];
};
_Static_assert(sizeof(struct vpmu_bpf_sample) == 88 + 126 * 8, "both sides agree on the record");

#define VPMU_BPF_SAMPLE_BYTES(n_frames) (88 + (n_frames) * 8)

/* The most of one stack that is copied: a kernel's whole one. A power of two of slices. */
#define VPMU_BPF_STACK_BYTES 16384u
#define VPMU_BPF_SLICES	     4 /* an NMI's in another exception's in an interrupt's in a task's; of fewer, user mode's is the last one */

/* The registers of a sample, and what the stacks of the guest's kernel and of the program have: guest_stack.h. */
struct vpmu_bpf_stack {
	__u64 sp, bp, ax, dx, di, r10, r13;
	__u64 task_top_gva; /* the end of the task's stack */
	__u64 user_ip;	    /* where user mode was left; 0 = not known … */
	__u64 user_sp, user_bp; /* … and its registers */
	struct {
		__u64 gva, n_bytes;
	} slices[VPMU_BPF_SLICES]; /* innermost first: of the kernel, then of user mode */
	__u32 n_slices;
	__u8 end;      /* enum vpmu_bpf_end: why a slice ends before its stack's top */
	__u8 has_user; /* the last slice is of user mode's stack … */
	__u8 user_end; /* … and is shorter than it was to be: enum vpmu_bpf_end */
	__u8 unused;
};
_Static_assert(sizeof(struct vpmu_bpf_stack) == 11 * 8 + VPMU_BPF_SLICES * 16 + 8, "both sides agree on the record");

/* Behind it follow the slices' bytes. */
struct vpmu_bpf_record {
	struct vpmu_bpf_sample sample;
	struct vpmu_bpf_stack stack;
};

/* ---- samples counted in the kernel: sample_count.bpf.h ---- */

#define VPMU_BPF_MAX_COUNTS 16384u /* of a session and generation */
#define VPMU_BPF_MAX_COUNTED_CHAINS 4096u
#define VPMU_BPF_GENERATION(session, generation) ((session) * 2 + ((generation) & 1))

/* Samples that are the same but for time and CPU. */
struct vpmu_bpf_count_key {
	__u64 event_id;
	__u64 ip;
	__u64 chains[2]; /* names of chains, 0 = none: [0] the guest's or the host kernel's, [1] of the host's user mode */
	__u32 pid, tid;
	__u8 guest; /* 1 = inside a guest */
	__u8 user;
	__u8 unused[6];
	struct vpmu_bpf_task task; /* a guest's, else 0 */
};
_Static_assert(sizeof(struct vpmu_bpf_count_key) == 88, "no bytes that nobody sets");

struct vpmu_bpf_count {
	__u64 n;
	__u64 weight;
	__u64 time_ns; /* of the newest, like cpu */
	__u32 cpu;
	__u32 unused;
};

/* What is known of this generation besides. */
#define VPMU_BPF_SEEN_WORDS 256
struct vpmu_bpf_seen {
	__u64 words[VPMU_BPF_SEEN_WORDS]; /* guests' tasks that were seen: bits by a hash of the task */
	__u64 n_unfit; /* samples that there was no room for, roughly: CPUs may count at once */
};

/* A memory slot of a virtual machine, as slots.bpf.c hands it out. */
#define VPMU_BPF_MAX_SLOTS 512
#define VPMU_BPF_MAX_ROOTS 64

struct vpmu_bpf_slot {
	__u64 base_gfn, n_pages, hva;
	__u32 flags, unused;
};

_Static_assert(sizeof(struct vpmu_bpf_slot) == 32, "the same on both sides");

/* ---- VM exits: exits.bpf.c ---- */

/* Bucket 0 is for less than 64 ns; bucket i for 2^(i+5) ns and more, but less than 2^(i+6); the last one is open: from 69 s on. */
#define VPMU_BPF_EXIT_BUCKETS 32
#define VPMU_BPF_EXIT_BUCKET_SHIFT 6
/* Different reasons of one vCPU that there is room for; VMX and SVM have some 80 each, a guest has seldom more than 15. */
#define VPMU_BPF_EXIT_ROWS 64
/* Numbers that reasons are mapped to, those of a nested guest's exits apart. */
#define VPMU_BPF_EXIT_INDEXES 512

/* The shortest and the longest in an epoch. User space begins a new one to read the one before: sums can be subtracted, these cannot. */
struct vpmu_bpf_exit_range {
	__u32 epoch; /* of another one, it is empty */
	__u32 unused;
	__u64 min_ns, max_ns;
};

/* Exits of one kind. Times without @untimed ones; @total_ns is all of the time, and holds the four behind it. */
struct vpmu_bpf_exit_row {
	__u64 code; /* of the first of them, as the processor gave it */
	__u64 count;
	__u64 untimed; /* of @count: their entry was not seen, or there is none */
	__u64 total_ns;
	__u64 user_ns;	      /* the VMM ran in user mode, or the kernel for it */
	__u64 blocked_ns;     /* asleep: halted, or waiting in the VMM */
	__u64 preempted_ns;   /* would run, but another thread does */
	__u64 polled_ns;      /* KVM polled for the end of a halt */
	__u32 nested;	      /* 1 = of a nested guest */
	__u32 has_code;	      /* 0 = events, no exits */
	struct vpmu_bpf_exit_range ranges[2]; /* of this epoch and the one before: number @epoch & 1 */
	__u64 buckets[VPMU_BPF_EXIT_BUCKETS];
};
_Static_assert(sizeof(struct vpmu_bpf_exit_row) == 120 + 32 * 8, "the same on both sides");

/* What exits are told apart by, besides their reason. Each has rows of its own. */
enum vpmu_bpf_exit_kind {
	VPMU_BPF_EXIT_MSR = 0,	     /* number; bit 32: written; bit 33: 0 was written */
	VPMU_BPF_EXIT_PORT = 1,	     /* number; bit 32: written */
	VPMU_BPF_EXIT_MMIO = 2,	     /* guest-physical page; bit 63: written */
	VPMU_BPF_EXIT_CPUID = 3,     /* leaf; bits 32 and up: subleaf */
	VPMU_BPF_EXIT_HYPERCALL = 4, /* number */
	VPMU_BPF_EXIT_FAULT = 5,     /* error code, low 32 bits */
	VPMU_BPF_EXIT_VECTOR = 6,    /* interrupt injected, or bit 32: an NMI; events by themselves, never timed */
	VPMU_BPF_EXIT_RIP = 7,	     /* address of the instruction */
	VPMU_BPF_EXIT_KINDS = 8,     /* those above are noted while an exit is handled */
	VPMU_BPF_EXIT_TRIP = 8,	     /* nested: from an L2 exit until L2 runs again, when L1 had to handle it: L2's code */
	VPMU_BPF_EXIT_ANCILLARY = 9, /* nested: an exit of L1 during a trip: its code; bits 32 and up: L2's */
	VPMU_BPF_EXIT_USER = 10,     /* KVM_RUN returned to the VMM: KVM_EXIT_*; never timed */
	VPMU_BPF_EXIT_RUN = 11,	     /* nested: from an entry into L2 until its exit: L2's code */
	VPMU_BPF_EXIT_ALL_KINDS = 12,
};

#define VPMU_BPF_EXIT_WRITE	 (1ULL << 32)
#define VPMU_BPF_EXIT_ZERO	 (1ULL << 33)
#define VPMU_BPF_EXIT_MMIO_WRITE (1ULL << 63)
#define VPMU_BPF_EXIT_NMI	 (1ULL << 32)

/*
 * An exit with the chain of guest code that led to it is a struct vpmu_bpf_sample, too: period is how long it took, cpu how many it stands
 * for, and event_id tells what it was:
 */
#define VPMU_BPF_EXIT_ID(code, nested, isa, kind1)                                                 \
	((__u64)(__u32)(code) | (__u64)(nested) << 32 | (__u64)(isa) << 40 | (__u64)(kind1) << 48)
#define VPMU_BPF_EXIT_ID_CODE(id)   ((__u32)(id))
#define VPMU_BPF_EXIT_ID_NESTED(id) ((id) >> 32 & 1)
#define VPMU_BPF_EXIT_ID_ISA(id)    ((id) >> 40 & 0xff)
/* An event outside of exits: enum vpmu_bpf_exit_kind, plus 1; 0 = an exit. */
#define VPMU_BPF_EXIT_ID_KIND1(id)  ((id) >> 48 & 0xff)

/* Where the exit in progress was, if it is one that is sampled. */
struct vpmu_bpf_exit_place {
	__u64 ip, bp, cr3;
	__u32 one_in; /* so many exits does it stand for; 0 = it is not sampled */
	__u8 is_read; /* 1 = the members above and below are there */
	__u8 has_chain, user, levels;
};

struct vpmu_bpf_exit_key {
	__u32 tid;
	__u32 kind;
	__u64 value;
};

enum vpmu_bpf_exit_state {
	VPMU_BPF_EXIT_UNKNOWN = 0, /* neither entry nor exit was seen yet */
	VPMU_BPF_EXIT_OUTSIDE = 1, /* between an exit and its entry */
	VPMU_BPF_EXIT_INSIDE = 2,  /* the guest runs */
	VPMU_BPF_EXIT_DEAD = 3,	   /* the thread ended */
};

/*
 * One vCPU thread: the exit that is being handled, and the sums. Only the thread itself writes here (and the scheduler while it switches to
 * or from it), so nothing is locked, and nothing is kept for each CPU apart, wherever the thread runs.
 */
struct vpmu_bpf_exit_thread {
	__u64 vcpu;	/* address of KVM's structure, … */
	__u64 control;	/* … and of the vCPU's VMCB; 0 = not known yet */
	__u32 tid;	/* whose sums these are; 0 = nobody's */
	__u32 unused0;
	__u64 since_ns; /* the exit */
	__u64 off_ns;	/* switched out at; 0 = runs */
	__u64 user_from_ns; /* KVM_RUN returned at; 0 = it did not */
	__u64 off_before_user_ns, off_before_halt_ns; /* part of blocked_ns + preempted_ns */
	__u64 user_ns, blocked_ns, preempted_ns, polled_ns; /* of this exit so far */
	__u64 details[VPMU_BPF_EXIT_KINDS];
	__u64 trip_since_ns; /* when L2 was left; 0 = it is not on a trip */
	__u64 run_since_ns;  /* when L2 was entered; 0 = L1 was, or trips are not noted */
	__u32 trip_code;
	__u32 code;
	__u32 detail_set;  /* bits by kind: which details there are */
	__u8 state;	   /* enum vpmu_bpf_exit_state */
	__u8 isa;	   /* as kvm_exit tells it: 1 VMX, 2 SVM */
	__u8 nested;	   /* this exit is one of L2 */
	__u8 off_blocked;  /* it sleeps; else it was preempted */
	__u64 n_exits, n_entries;
	__u64 n_lost_entries; /* exit followed by exit */
	__u64 n_lost_exits;   /* entry followed by entry */
	__u64 n_backwards;    /* the clock went back */
	__u64 n_unfit;	      /* there was no row left for it */
	__u64 mmio_page;      /* of a read that waits for the VMM, plus 1 */
	struct vpmu_bpf_exit_place place;
	__u64 rate_from_ns; /* sampling: the stretch of time that is looked at, … */
	__u32 rate_samples; /* … how many samples there were in it, … */
	__u32 rate_one_in;  /* … and one exit of how many is sampled; 0 = 1 */
	__u64 n_unsampled;  /* samples for which the buffer had no room */
	__u32 n_rows;
	__u32 unused;
	__u8 row_of[VPMU_BPF_EXIT_INDEXES]; /* plus 1; 0 = none yet */
	struct vpmu_bpf_exit_row rows[VPMU_BPF_EXIT_ROWS];
};

/* ---- where a vCPU's time went: clock.bpf.c, clock_account.h ---- */

enum vpmu_bpf_part {
	VPMU_BPF_PART_GUEST = 0,
	VPMU_BPF_PART_EXIT = 1,	   /* the kernel handles an exit */
	VPMU_BPF_PART_QEMU = 2,	   /* from KVM_RUN's return until the guest is entered again */
	VPMU_BPF_PART_POLL = 3,	   /* the guest has halted; KVM spins, as it may go on at once */
	VPMU_BPF_PART_HALT = 4,	   /* … and sleeps */
	VPMU_BPF_PART_STEAL = 5,   /* could run, but something else is on the CPU */
	VPMU_BPF_PART_BLOCKED = 6, /* asleep outside of KVM */
	VPMU_BPF_PART_BLOCKED_KVM = 7, /* asleep in KVM, not halted: its memory is fetched, a lock */
	VPMU_BPF_PART_UNKNOWN = 8,     /* on a CPU; at what, no event has told */
	VPMU_BPF_PART_COUNT = 9,
};

enum vpmu_bpf_run {
	VPMU_BPF_RUN_UNSEEN = 0, /* as it was when we began to look: nothing has happened since */
	VPMU_BPF_RUN_RUNNING = 1,
	VPMU_BPF_RUN_WAITING = 2,
	VPMU_BPF_RUN_ASLEEP = 3,
};

enum vpmu_bpf_where {
	VPMU_BPF_WHERE_UNKNOWN = 0,
	VPMU_BPF_WHERE_GUEST = 1,
	VPMU_BPF_WHERE_EXIT = 2,
	VPMU_BPF_WHERE_QEMU = 3,
};

/* One exit reason of one vCPU. */
struct vpmu_bpf_clock_reason {
	__u32 code; /* basic exit reason (VMX), exit code (SVM) */
	__u32 used;
	__u64 count;
	__u64 exit_ns; /* on a CPU, in the kernel, without polling */
	__u64 qemu_ns; /* then in QEMU, if the exit went that far */
};

#define VPMU_BPF_CLOCK_REASONS	 32 /* a power of 2; the one behind them is for all others */
#define VPMU_BPF_CLOCK_NO_REASON 0xffffffffu /* it could not be read */

struct vpmu_bpf_clock {
	__u32 seq; /* odd while it is being changed */
	__u32 tid;
	__u8 run, where; /* enum vpmu_bpf_run, vpmu_bpf_where */
	__u8 asleep_in;	 /* enum vpmu_bpf_part: what sleeping is */
	__u8 seen_run;	 /* what it was when we began to look, if nothing has happened since … */
	__u8 seen_asleep_in; /* … and where it slept */
	__u8 ended;
	__u8 reason; /* the newest exit's in reasons[] */
	__u8 has_kvm; /* an entry or exit was seen */
	__u32 wait_cpu; /* on whose queue it was when it began to wait */
	__u32 unused;
	__u64 start_ns, since_ns; /* CLOCK_MONOTONIC; parts are up to date until since_ns */
	__u64 waited_ns;	  /* up to when its waiting is charged to competitors */
	__u64 delay_ns;		  /* how long it had ever waited when it began to wait last: the scheduler's account */
	__u64 current_ns;	  /* on a CPU since the last of KVM's events */
	__u64 stretch_ns;	  /* when it got the CPU last */
	__u64 poll_from_ns, poll_until_ns; /* in which polling lies, if it has gone to sleep since */
	__u64 parts[VPMU_BPF_PART_COUNT]; /* add up to since_ns - start_ns */
	__u64 entries, exits;
	__u64 unpaired; /* exits without an entry before, or the like: events were lost */
	struct vpmu_bpf_clock_reason reasons[VPMU_BPF_CLOCK_REASONS + 1];
};
_Static_assert(sizeof(struct vpmu_bpf_clock) == 24 + 20 * 8 + 33 * 32, "the same on both sides");

/* Who has a CPU while a vCPU waits for it: clock_queue.h. */
struct vpmu_bpf_competitor_key {
	__u32 clock; /* the vCPU's */
	__u32 tid;
};

struct vpmu_bpf_competitor {
	__u64 ns;
	__u32 pid;
	__u32 unused;
	char comm[16];
};

#endif

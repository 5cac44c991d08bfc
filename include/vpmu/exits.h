/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VM exits: which, how many, how long, what about. They are accounted in the host's kernel, by BPF
 * programs on KVM's tracepoints, and read when somebody wants to know: nothing is recorded, and
 * memory does not grow with the number of exits. An exit costs some 100 ns more than without; cheap
 * enough to be left on.
 *
 *   vpmu_exits_new()  ->  _add_guest() …  ->  _start()  ->  _refresh(), _read() …  ->  _free()
 *
 * vpmu_exits_read() hands out rows. A row is the exits of one vCPU thread for one reason, or, by
 * the other keys that were asked for, those about one MSR, one I/O port, and so on. Rows of
 * different keys are different views of the same exits: add up those of one key only.
 *
 * An exit lasts from kvm_exit to kvm_entry. Its time is KVM's own but for these parts of it:
 *
 *	user_ns		since KVM_RUN returned to the hypervisor (QEMU)
 *	blocked_ns	asleep: a halted vCPU, or a hypervisor that waits
 *	preempted_ns	would run, but its CPU ran another thread
 *	polled_ns	KVM polled for the end of a halt, before it slept
 *
 * Keys other than the reason take their value from KVM's other tracepoints: the first MSR access,
 * say, while the exit was handled. Outside of exits (KVM handled it in a fast path of its own, or
 * there are no exits to be seen, below) such an event is a row by itself, without time.
 *
 * There are kinds of KVM whose kvm_exit and kvm_entry never fire: those that run guests without VMX
 * or SVM (PVM). vpmu_exits_silent() tells once vCPUs ran without a single one. There, the events by
 * MSR, PORT, MMIO, CPUID, HYPERCALL and VECTOR are noted without being asked for.
 *
 * An example is examples/exits.c. No object of this header may be used by two threads at a time.
 */
#ifndef VPMU_EXITS_H
#define VPMU_EXITS_H

#include <vpmu/common.h>
#include <vpmu/count.h>
#include <vpmu/error.h>
#include <vpmu/guest.h>
#include <vpmu/symbolize.h>

/* What rows are about. Numbers stay as they are. */
enum vpmu_exit_key {
	VPMU_EXIT_REASON = 0,	 /* the processor's reason; always there */
	VPMU_EXIT_MSR = 1,	 /* value: number of the MSR */
	VPMU_EXIT_PORT = 2,	 /* I/O port */
	VPMU_EXIT_MMIO = 3,	 /* guest-physical address of the page */
	VPMU_EXIT_CPUID = 4,	 /* leaf, subleaf << 32 */
	VPMU_EXIT_HYPERCALL = 5, /* its number */
	VPMU_EXIT_FAULT = 6,	 /* page faults that KVM handled: error code */
	VPMU_EXIT_VECTOR = 7,	 /* interrupts injected: vector. Events, not exits: no time */
	VPMU_EXIT_ADDRESS = 8,	 /* guest-virtual address of the instruction that left; vpmu_exits_symbol() */
	VPMU_EXIT_TRIP = 9,	 /* nested guests: from an exit that their hypervisor handles until they run again: its code */
	VPMU_EXIT_ANCILLARY = 10, /* exits of a guest hypervisor during trips: its reason; name is the trip's,
				     value its code, and the trip's << 32 */
	VPMU_EXIT_USER = 11,	 /* KVM_RUN returned to the hypervisor: why (KVM_EXIT_*). Events: no time; always there */
	VPMU_EXIT_RUN = 12,	 /* nested guests: they ran, from an entry to the exit that followed: its code */
};
#define VPMU_EXIT_KEY_COUNT 13

/* Room for times below 64 ns, 128 ns, … 68 s; the last bucket is open. */
#define VPMU_EXIT_BUCKETS 32

struct vpmu_exits_opts {
	size_t sz;
	unsigned int keys;     /* bits 1 << VPMU_EXIT_*: by what, besides REASON and USER */
	bool stacks;	       /* sample exits with the guest's call chains: vpmu_exits_each_stack() */
	uint32_t max_vcpus;    /* accounted at the same time; default twice those there are at the start, at least 64 (24 KiB each) */
	uint32_t max_rows;     /* of keys other than REASON, all vCPUs together; default 8192 (400 bytes each) */
	struct vpmu_guests_opts guests; /* where to look for threads; default /proc */
	struct vpmu_symbolizer_opts symbolizer;
};

struct vpmu_exits;

struct vpmu_exit {
	uint32_t guest; /* vpmu_exits_guest() tells which */
	uint32_t vcpu;	/* its index */
	pid_t tid;
	bool ended; /* the thread is gone */
	enum vpmu_exit_key key;
	bool nested;	    /* a guest of the guest left */
	uint32_t code;	    /* VMX's exit reason or SVM's exit code; 0 for events */
	const char *reason; /* its name: "HLT" (VMX), "hlt" (SVM); "" for events */
	uint64_t value;	    /* of keys other than REASON */
	bool write;	    /* of an MSR, port or page: written, else read */
	bool zero;	    /* of an MSR: what was written is 0 */
	bool nmi;	    /* of a vector: a non-maskable interrupt, as a guest's PMU raises them */
	const char *pmu;    /* of an MSR that belongs to a PMU: "global_ctrl", "eventsel", "counter", …; else "" */
	const char *name;   /* of the value: "IA32_TSC_DEADLINE", "0x3f8", …; of REASON the reason */
	uint64_t count;
	uint64_t untimed; /* of count: those whose time is not known */
	uint64_t total_ns;
	uint64_t min_ns, max_ns; /* 0 if nothing was timed */
	uint64_t user_ns, blocked_ns, preempted_ns, polled_ns; /* parts of total_ns */
	uint64_t buckets[VPMU_EXIT_BUCKETS]; /* timed ones, by vpmu_exit_bucket_ns() */
};

/*
 * Exits (or events, where there are none to be seen) that guest code led to by the same way. Of
 * many exits some are sampled, up to a thousand a second of each vCPU; each stands for as many as
 * were passed over.
 */
struct vpmu_exit_stack {
	uint32_t guest, vcpu;
	pid_t tid;
	bool nested;	    /* a guest of the guest left: nothing is known of its stack */
	uint32_t code;	    /* 0 for events */
	const char *reason; /* of events the key's name: "port" */
	bool user;	    /* the guest was in user mode */
	bool is_cut;	    /* the chain has an end that is not the outermost function */
	size_t n_addresses; /* 0: where it was is not known */
	const uint64_t *addresses; /* the instruction that left, then return addresses */
	uint64_t samples;
	uint64_t count;	   /* how many exits it stands for, estimated */
	uint64_t total_ns; /* likewise */
};

/* A reading. It belongs to the object, and lives until that is read again or freed. */
struct vpmu_exit_rows {
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
	size_t n;
	const struct vpmu_exit *items; /* by guest, vCPU, thread, key; then the longest total first, then the highest count */
	/* What is not in the rows, since the start. */
	uint64_t missed;	/* events that came while the CPU ran the same program already */
	uint64_t unfit;		/* exits for which there was no row left: max_rows */
	uint64_t unsampled;	/* samples of stacks for which there was no room */
	uint64_t lost_entries;	/* exits that another exit followed */
	uint64_t lost_exits;	/* entries that another entry followed */
};

VPMU_BEGIN_DECLS

/*
 * vpmu_exits_new - check the options. Attaches nothing yet.
 * Errors: -EINVAL (option), -ENOMEM.
 */
VPMU_API int vpmu_exits_new(const struct vpmu_exits_opts *opts, struct vpmu_exits **ret_exits,
			    struct vpmu_error *reterr);
VPMU_API struct vpmu_exits *vpmu_exits_free(struct vpmu_exits *exits);

/*
 * vpmu_exits_add_guest - account the vCPU threads of @guest, those of now and those to come. Before
 * or after start; a guest that is there already is not added twice.
 * Errors: -ESRCH (it is gone), -EACCES (/proc), -E2BIG (max_vcpus), -ENOMEM.
 */
VPMU_API int vpmu_exits_add_guest(struct vpmu_exits *exits, const struct vpmu_guest_info *guest,
				  struct vpmu_error *reterr);

/*
 * vpmu_exits_start - load the programs and begin.
 * Errors: -EINVAL (twice, or no guest), -EPERM, -ENOENT (no KVM), -EOPNOTSUPP (built without BPF),
 * -ENOMEM, what the kernel said.
 */
VPMU_API int vpmu_exits_start(struct vpmu_exits *exits, struct vpmu_error *reterr);

/*
 * vpmu_exits_refresh - look for vCPU threads that came or went. To be called a few times a second.
 * Errors: -ESRCH when every guest is gone (what was accounted can still be read), -EINVAL (not
 * started), -ENOMEM.
 */
VPMU_API int vpmu_exits_refresh(struct vpmu_exits *exits, struct vpmu_error *reterr);

/*
 * vpmu_exits_read - refresh, and hand out the rows. Rows without an exit in the time that was asked
 * for are left out. Threads that ended are in SINCE_START readings for ever, and once more in
 * SINCE_LAST ones; of what they did after the last refresh nothing is lost.
 * Errors: -EINVAL (not started), -ENOMEM. That guests are gone is none.
 */
VPMU_API int vpmu_exits_read(struct vpmu_exits *exits, enum vpmu_count_since since,
			     struct vpmu_exit_rows *ret_rows, struct vpmu_error *reterr);

/*
 * vpmu_exits_forget_ended - threads that ended, and were in a SINCE_LAST reading since, are in no further one: whoever accounts
 * guests that come and go for weeks adds up such readings, and calls this after each. The reading that was handed out is no
 * more. Guests keep their numbers.
 * Errors: -EINVAL (vpmu_exits_opts.stacks: these are of the whole time), -ENOMEM (all stays as it was).
 */
VPMU_API int vpmu_exits_forget_ended(struct vpmu_exits *exits);

/* Which guest vpmu_exit.guest means; NULL beyond the end. Stays valid after the guest's death. */
VPMU_API const struct vpmu_guest_info *vpmu_exits_guest(const struct vpmu_exits *exits, size_t i);

/*
 * Why there are no rows by reason although vCPUs ran: one line; "" if there are. As of the last
 * reading. Belongs to @exits.
 */
VPMU_API const char *vpmu_exits_silent(const struct vpmu_exits *exits);

/*
 * Tracepoints that the keys asked for and this kernel does not have: "kvm_x, kvm_y"; "" if it has
 * all. Belongs to @exits.
 */
VPMU_API const char *vpmu_exits_missing(const struct vpmu_exits *exits);

/*
 * vpmu_exits_symbolizer - what names addresses in the guests; files with symbols may be added
 * (vpmu_symbolizer_guest_file(), guests numbered as here). Belongs to @exits.
 */
VPMU_API struct vpmu_symbolizer *vpmu_exits_symbolizer(struct vpmu_exits *exits);

/*
 * vpmu_exits_symbol - what is at guest-virtual @address of guest @guest. Whether it is the guest's
 * kernel or one of its programs is told by the half of the address space. Strings of *ret_frame
 * live as long as @exits.
 */
VPMU_API void vpmu_exits_symbol(struct vpmu_exits *exits, uint32_t guest, uint64_t address,
				struct vpmu_frame *ret_frame);

/*
 * vpmu_exits_each_stack - hands out what was sampled since the start, the longest total first
 * (events: the highest count).
 * @fn: a negative number ends it, and is returned. What @stack points to is valid during the call.
 * Errors: -EINVAL (not asked for: vpmu_exits_opts.stacks), -ENOMEM.
 */
typedef int (*vpmu_exit_stack_fn)(const struct vpmu_exit_stack *stack, void *data);
VPMU_API int vpmu_exits_each_stack(struct vpmu_exits *exits, vpmu_exit_stack_fn fn, void *data);

/* The time that bucket @i ends before, in ns; UINT64_MAX for the last one and beyond. */
VPMU_API uint64_t vpmu_exit_bucket_ns(unsigned int i);

/*
 * vpmu_exit_percentile - a time that @percent (0 to 100) of the row's timed exits did not exceed,
 * in ns: the end of the bucket in which they end, but no more than max_ns. 0 if nothing was timed.
 */
VPMU_API uint64_t vpmu_exit_percentile(const struct vpmu_exit *exit, double percent);

/* "reason", "msr", "port", …: the keys of JSON. A static string. */
VPMU_API const char *vpmu_exit_key_name(enum vpmu_exit_key key);

VPMU_END_DECLS

#endif

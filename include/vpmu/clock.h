/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the wall time of each vCPU went.
 *
 *   vpmu_clock_new()  ->  _add_guest() …  ->  _start()  ->  _refresh(), _read() …  ->  _free()
 *
 * A BPF program follows the vCPU threads through the tracepoints of KVM and the scheduler and
 * keeps a clock of each in the kernel: nothing is streamed, reading is copying. It can be left
 * switched on.
 *
 * The parts of a row that are known add up to its wall_ns. What cannot be told apart is not
 * guessed: such a part has known = false, and the row says why. Where KVM has no kvm_entry and
 * kvm_exit, time on a CPU is divided between guest, QEMU and kernel in the proportion of the
 * scheduler's own account, which knows it in steps (step_ns). Without BPF (rights, old kernels) all
 * comes from that account, and halted and blocked are one part, VPMU_CLOCK_ASLEEP.
 *
 * An example is examples/time.c. No object of this header may be used by two threads at a time.
 */
#ifndef VPMU_CLOCK_H
#define VPMU_CLOCK_H

#include <vpmu/common.h>
#include <vpmu/count.h>
#include <vpmu/error.h>
#include <vpmu/guest.h>

enum vpmu_clock_part {
	VPMU_CLOCK_GUEST = 0,	/* ran guest code */
	VPMU_CLOCK_EXIT = 1,	/* the kernel handled exits, on a CPU */
	VPMU_CLOCK_QEMU = 2,	/* the hypervisor's process did, on a CPU: emulation of devices */
	VPMU_CLOCK_POLL = 3,	/* halted, and KVM spun in case it goes on at once */
	VPMU_CLOCK_HALT = 4,	/* halted, asleep: the guest had nothing to do */
	VPMU_CLOCK_STEAL = 5,	/* could have run, but was not on a CPU */
	VPMU_CLOCK_BLOCKED = 6, /* asleep in the hypervisor's process: I/O, a lock */
	VPMU_CLOCK_BLOCKED_KVM = 7, /* asleep in KVM, not halted: guest memory being fetched */
	VPMU_CLOCK_ASLEEP = 8,	/* one of the three before; known only if they are not */
	VPMU_CLOCK_UNKNOWN = 9, /* on a CPU before the first event, or anything when events were lost */
	VPMU_CLOCK_PART_COUNT = 10,
};

struct vpmu_clock_time {
	bool known; /* else ns is 0 */
	uint64_t ns;
	uint64_t step_ns; /* it is the scheduler's account, known in steps; 0 = measured */
};

/* Exits of one reason. */
struct vpmu_clock_reason {
	const char *name; /* "HLT", or the number where there is no name */
	uint32_t code;	  /* basic exit reason (Intel), exit code (AMD) */
	uint64_t count;
	uint64_t exit_ns; /* in the kernel on a CPU; those of all reasons add up to the part */
	uint64_t qemu_ns; /* in the hypervisor on a CPU, for exits that went that far */
};

/* A thread that had the CPU while the vCPU waited for it. */
struct vpmu_clock_competitor {
	pid_t tid;	  /* 0 = none, the CPU was idle: waking up, or a quota was used up; -1 = others */
	pid_t pid;	  /* its process */
	const char *comm; /* its name */
	uint64_t ns;
};

/* One vCPU thread. */
struct vpmu_clock_vcpu {
	uint32_t guest; /* vpmu_clock_guest() tells which */
	uint32_t vcpu;	/* its index */
	pid_t tid;
	bool ended; /* the thread is gone: these are its last values */
	uint64_t start_ns; /* CLOCK_MONOTONIC: of a thread that came later, when it was noticed */
	uint64_t wall_ns;
	struct vpmu_clock_time parts[VPMU_CLOCK_PART_COUNT];
	const char *why;   /* a part is not known, or known in steps: one line; else NULL */
	uint64_t unpaired; /* events that do not fit together: some were lost */
	size_t n_reasons;  /* by time in kernel and hypervisor, longest first */
	const struct vpmu_clock_reason *reasons;
	size_t n_competitors; /* longest first; together, all but the newest moments of STEAL */
	const struct vpmu_clock_competitor *competitors;
};

/* A reading. It all belongs to the clock, and lives until it is read again or freed. */
struct vpmu_clock_times {
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
	size_t n;
	const struct vpmu_clock_vcpu *items; /* by guest, as added; vCPU; thread */
};

struct vpmu_clock_opts {
	size_t sz;
	struct vpmu_guests_opts guests; /* where to look for threads; default /proc */
	bool no_bpf;			/* the scheduler's account is enough */
};

struct vpmu_clock;

VPMU_BEGIN_DECLS

/*
 * vpmu_clock_new - load the BPF program. That it cannot be had is no error: vpmu_clock_missing()
 * tells why.
 * Errors: -EINVAL (options), -ENOMEM.
 */
VPMU_API int vpmu_clock_new(const struct vpmu_clock_opts *opts, struct vpmu_clock **ret_clock,
			    struct vpmu_error *reterr);
VPMU_API struct vpmu_clock *vpmu_clock_free(struct vpmu_clock *clock);

/*
 * vpmu_clock_add_guest - follow the vCPU threads of @guest, those of now and those to come. Before
 * or after start; a guest that is there already is not added twice.
 * Errors: -ESRCH (it is gone), -EACCES (/proc), -ENOMEM.
 */
VPMU_API int vpmu_clock_add_guest(struct vpmu_clock *clock, const struct vpmu_guest_info *guest,
				  struct vpmu_error *reterr);

/* vpmu_clock_start - begin. Errors: -EINVAL (twice, or no guest), -ENOMEM. */
VPMU_API int vpmu_clock_start(struct vpmu_clock *clock, struct vpmu_error *reterr);

/*
 * vpmu_clock_refresh - look for vCPU threads that came or went, and note how far the scheduler's
 * accounts are. To be called a few times a second (some 30 µs for each vCPU): a thread's time counts
 * from when it is noticed.
 * Errors: -ESRCH when every guest is gone (their times can still be read), -EINVAL (not started),
 * -ENOMEM.
 */
VPMU_API int vpmu_clock_refresh(struct vpmu_clock *clock, struct vpmu_error *reterr);

/*
 * vpmu_clock_read - refresh, and hand out the times. Threads that ended are in SINCE_START readings
 * for ever and once more in SINCE_LAST ones.
 * Errors: -EINVAL (not started), -ENOMEM. That guests are gone is none.
 */
VPMU_API int vpmu_clock_read(struct vpmu_clock *clock, enum vpmu_count_since since,
			     struct vpmu_clock_times *ret_times, struct vpmu_error *reterr);

/*
 * vpmu_clock_forget_ended - threads that ended, and were in a SINCE_LAST reading since, are in no further one: whoever follows
 * guests that come and go for weeks adds up such readings, and calls this after each. The reading that was handed out is no
 * more. Guests keep their numbers.
 */
VPMU_API void vpmu_clock_forget_ended(struct vpmu_clock *clock);

/* Which guest vpmu_clock_vcpu.guest means; NULL beyond the end. Stays valid after its death. */
VPMU_API const struct vpmu_guest_info *vpmu_clock_guest(const struct vpmu_clock *clock, size_t i);

/* Why there is no BPF program, and what to do: one line that belongs to @clock. "" if there is. */
VPMU_API const char *vpmu_clock_missing(const struct vpmu_clock *clock);

/* "guest", "exit", "qemu", …: a static string. */
VPMU_API const char *vpmu_clock_part_name(enum vpmu_clock_part part);

VPMU_END_DECLS

#endif

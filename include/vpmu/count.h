/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting on the vCPU threads of guests: events of the PMU and the kernel, and where each vCPU's
 * wall time went.
 *
 *   vpmu_counters_new()  ->  _add_guest() …  ->  _start()  ->  _refresh(), _read() …  ->  _free()
 *
 * vpmu_counters_read() hands out one row for each vCPU thread, event and side. A value that could
 * not be had is not 0: its row has a status and says why. Hardware events are counted on the
 * guest's and on the host's side apart. The kernel cannot do that for software events: their rows
 * say both sides. Those of tracepoints and KVM's statistics say the host's kernel, which is where
 * they are.
 *
 * Time rows are always there, and need no PMU and no rights beyond reading /proc: they are the
 * scheduler's account of the thread (proc_pid_stat(5), schedstat). "wall-time" is the sum of the
 * others:
 *
 *	guest-time	guest code (side guest)
 *	user-time	the hypervisor's own code, QEMU (side host-user)
 *	system-time	the host's kernel on behalf of the vCPU, KVM included (side host-kernel)
 *	wait-time	runnable, but no CPU was free: the guest's steal time (no side)
 *	sleep-time	the rest: halted, or blocked in the hypervisor (no side)
 *
 * How long a thread ran and waited is exact, to a scheduler tick at the moment of reading. What it
 * did in that time is known in steps of step_ns (10 ms), so a row of a short interval is coarse.
 * Context switches come from the same account: "voluntary-switches", "involuntary-switches".
 *
 * An example is examples/stat.c. No object of this header may be used by two threads at a time.
 */
#ifndef VPMU_COUNT_H
#define VPMU_COUNT_H

#include <vpmu/common.h>
#include <vpmu/error.h>
#include <vpmu/guest.h>
#include <vpmu/session.h>

struct vpmu_counters_opts {
	size_t sz;
	/*
	 * Comma-separated names, as for sessions; hardware events may end in :G or :H for one side;
	 * "kvm:exits" and the like are KVM's own statistics of the vCPU. NULL = those of the usual
	 * ones that exist here; "" = none, only times.
	 */
	const char *events;
	struct vpmu_guests_opts guests; /* where to look for threads; default /proc */
};

struct vpmu_counters;

enum vpmu_count_status {
	VPMU_COUNT_OK = 0,
	VPMU_COUNT_PARTIAL = 1,	    /* the thread has ended: from the last look at it before */
	VPMU_COUNT_NOT_COUNTED = 2, /* open, but the PMU never had room for it: no value */
	VPMU_COUNT_UNAVAILABLE = 3, /* could not be opened or read: no value */
};

struct vpmu_count {
	uint32_t guest; /* vpmu_counters_guest() tells which */
	uint32_t vcpu;	/* its index; unplugged and plugged in again it has rows for either thread */
	pid_t tid;
	bool ended;	    /* the thread is gone: these are its last values */
	unsigned int sides; /* VPMU_SIDES_*: where it was counted; 0 = neither (waiting, asleep) */
	const char *event;  /* as it was asked for */
	bool is_account;    /* one of the scheduler's: always there, not asked for */
	bool is_time;	    /* value is nanoseconds */
	bool scaled;	    /* counted part of the time; value is what it would have been */
	uint64_t value;
	uint64_t step_ns;    /* of a time that is known in steps: how large they are; 0 = exact */
	uint64_t enabled_ns; /* how long it was wanted while the thread ran … */
	uint64_t running_ns; /* … and how long it was counted */
	const char *base;    /* what the value is seen in proportion to: "cycles" for instructions,
				"wall-time" for times; NULL = nothing that was counted too */
	double ratio;	     /* value / base's value */
	enum vpmu_count_status status;
	const char *why; /* unless status is OK: one line */
};

/* A reading. It all belongs to the counters, and lives until they are read again or freed. */
struct vpmu_counts {
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
	size_t n;
	const struct vpmu_count *items; /* by guest, as added; vCPU; thread; then times first */
};

enum vpmu_count_since {
	VPMU_SINCE_START, /* since vpmu_counters_start(); of a thread that came later, since then */
	VPMU_SINCE_LAST,  /* since the previous reading of this kind, or the start */
};

VPMU_BEGIN_DECLS

/*
 * vpmu_counters_new - check the options. Opens nothing yet.
 * Errors: -EINVAL (option; unknown event: the text says which), -EACCES and -ENOENT for
 * tracepoints, -ENOMEM. An event that this machine does not have is no error: its rows say so.
 */
VPMU_API int vpmu_counters_new(const struct vpmu_counters_opts *opts,
			       struct vpmu_counters **ret_counters, struct vpmu_error *reterr);
VPMU_API struct vpmu_counters *vpmu_counters_free(struct vpmu_counters *counters);

/*
 * What each vCPU thread will be counted with, KVM's statistics and times aside; NULL beyond the end.
 * A hardware event has a counter for each side: excludes_guest tells the host's. Rates are 0.
 */
VPMU_API const struct vpmu_event_info *vpmu_counters_event(const struct vpmu_counters *counters,
							   size_t i);

/*
 * vpmu_counters_withhold - do not open counter @i (of vpmu_counters_event()), which is wanted
 * elsewhere: its rows are VPMU_COUNT_UNAVAILABLE and say @why (a copy, of 159 bytes at most).
 * Errors: -EINVAL (there is no such counter, there is a guest already, or no reason).
 */
VPMU_API int vpmu_counters_withhold(struct vpmu_counters *counters, size_t i, const char *why);

/*
 * vpmu_counters_add_guest - count on the vCPU threads of @guest, those of now and those to come.
 * Before or after start; a guest that is there already is not added twice.
 * Errors: -ESRCH (it is gone), -EACCES (/proc), -ENOMEM. Threads that may not be counted on are no
 * error: rows say so.
 */
VPMU_API int vpmu_counters_add_guest(struct vpmu_counters *counters,
				     const struct vpmu_guest_info *guest,
				     struct vpmu_error *reterr);

/* vpmu_counters_start - begin. Errors: -EINVAL (twice, or no guest), -ENOMEM. */
VPMU_API int vpmu_counters_start(struct vpmu_counters *counters, struct vpmu_error *reterr);

/*
 * vpmu_counters_refresh - look for vCPU threads that came or went, and note how far the scheduler's
 * accounts are: those of a thread end with it. To be called a few times a second (some 30 µs for
 * each vCPU).
 * Errors: -ESRCH when every guest is gone (what was counted can still be read), -EINVAL (not
 * started), -ENOMEM.
 */
VPMU_API int vpmu_counters_refresh(struct vpmu_counters *counters, struct vpmu_error *reterr);

/*
 * vpmu_counters_read - refresh, and hand out the values. Threads that ended are in SINCE_START
 * readings for ever and once more in SINCE_LAST ones.
 * Errors: -EINVAL (not started), -ENOMEM. That guests are gone is none.
 */
VPMU_API int vpmu_counters_read(struct vpmu_counters *counters, enum vpmu_count_since since,
				struct vpmu_counts *ret_counts, struct vpmu_error *reterr);

/* Which guest vpmu_count.guest means; NULL beyond the end. Stays valid after the guest's death. */
VPMU_API const struct vpmu_guest_info *vpmu_counters_guest(const struct vpmu_counters *counters,
							   size_t i);

/*
 * Why the default events leave out hardware events: one line that belongs to @counters. "" if they
 * do not.
 */
VPMU_API const char *vpmu_counters_missing(const struct vpmu_counters *counters);

/* "ok", "partial", "not-counted", "unavailable": a static string. */
VPMU_API const char *vpmu_count_status_name(enum vpmu_count_status status);

/* "guest", "host", "both", "none", or vpmu_side_name() of a single side: a static string. */
VPMU_API const char *vpmu_sides_name(unsigned int sides);

VPMU_END_DECLS

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One profiling run: choose events, add guests (or threads, or CPUs), start, poll, stop.
 *
 *   vpmu_session_new()  ->  _add_guest() …  [_record()]  ->  _start()  ->  _poll() …  ->  _stop()  ->  _free()
 *
 * vpmu_session_poll() empties the rings, follows vCPU threads that come and go, and delivers: to a
 * callback (vpmu_session_on_sample()), to a perf.data file (vpmu_session_record()), or both. A guest that dies
 * during a session is not an error; when nothing is left to profile, poll returns -ESRCH and what was seen stays.
 */
#ifndef VPMU_SESSION_H
#define VPMU_SESSION_H

#include <vpmu/common.h>
#include <vpmu/error.h>
#include <vpmu/guest.h>
#include <vpmu/host.h>
#include <vpmu/sample.h>
#include <vpmu/symbolize.h>

struct vpmu_session_opts {
	size_t sz;
	unsigned int sides;	/* VPMU_SIDES_HOST and/or VPMU_SIDES_GUEST; 0 = both */
	const char *events;	/* comma-separated names: hardware (libpfm4), software, tracepoints
				   "subsystem:name"; each may end in :G, :H, :u, :k. NULL = the best source here */
	uint32_t frequency_hz;	/* samples a second and thread; default 999, or what the kernel allows; not with period */
	uint64_t period;	/* a sample every so many events (ns for clocks) */
	bool host_chains;	/* record the host's call chains */
	uint32_t ring_bytes;	/* per thread or CPU: a power of two times the page size; default 512 KiB */
	struct vpmu_guests_opts guests;	/* where to look for threads; default /proc */
	struct vpmu_symbolizer_opts symbolizer;
	bool guest_chains;	/* walk the guests' stacks too (frame pointers; unwind tables of Linux kernels, and of
				   programs below a VPMU_GUEST_ROOT that was given before start). What the kernel or the guest does not
				   let us walk is sampled without a chain; a warning says why, the coverage how often */
	uint32_t pace_ms;	/* the longest that a sample waits to be delivered, while the rings have room; default
				   100. At a low rate most of the cost is going round empty rings, so more is cheaper */
	uint32_t follow_ms;	/* how often the guests' threads are looked at; default 200, with whole CPUs 1000 */
	bool wait_for_guests;	/* start without any, and do not end with the last one: others will be added */
	bool aggregate;		/* for profiles: samples that are the same in all but time and CPU may be counted in the kernel and
				   delivered as one (vpmu_sample.n_more), every pace_ms or when there is no room for more. What cannot
				   be counted comes one by one, within ten seconds. Not with a recording */
	uint32_t guest_stack_bytes; /* with guest_chains: so much of a program's stack comes with a sample of a guest that
				   has a VPMU_GUEST_ROOT; default 8192, at most 16384 */
};

struct vpmu_session;

/* One event of a session or a recording. */
struct vpmu_event_info {
	const char *name; /* as the user would type it */
	bool is_clock;	  /* weights are nanoseconds */
	uint64_t frequency_hz, period; /* one of them is 0 */
	bool excludes_guest; /* asked the kernel for no guest samples (attr.exclude_guest), as plain perf record does */
	bool is_hardware;    /* takes a counter of a core PMU */
	bool is_tracepoint;
};

struct vpmu_record_opts {
	size_t sz;
	const char *cmdline;	/* one line for the file's header; NULL = none */
	bool no_symbols;	/* do not carry symbol tables in the file: smaller, but bound to this boot */
};

typedef void (*vpmu_sample_fn)(const struct vpmu_sample *sample, void *data);

VPMU_BEGIN_DECLS

/*
 * vpmu_session_new - check the options and choose the sampling source. Opens nothing yet.
 * Errors: -EINVAL (option, unknown event: the text says which), -EOPNOTSUPP (no PMU for that event here;
 * mediated vPMU in use), -EACCES (perf_event_paranoid, capability named in the hint).
 */
VPMU_API int vpmu_session_new(const struct vpmu_session_opts *opts, struct vpmu_session **ret_session,
			      struct vpmu_error *reterr);

/* Closes all events; a recording that was not stopped is finished first, so it stays readable. */
VPMU_API struct vpmu_session *vpmu_session_free(struct vpmu_session *session);

/*
 * vpmu_session_add_guest - profile the vCPU threads of @guest, those of now and those to come.
 * @whole_process: all threads of the process (QEMU's I/O and main threads too).
 * May be called before and after start. A guest that was added already has its threads looked at, at once.
 * Errors: -ESRCH (it is gone), -EACCES, -EMFILE, -ENOMEM.
 */
VPMU_API int vpmu_session_add_guest(struct vpmu_session *session, const struct vpmu_guest_info *guest,
				    bool whole_process, struct vpmu_error *reterr);

/* vpmu_session_add_cpus - profile everything that runs on the host's CPUs. Before start. Errors as add_guest. */
VPMU_API int vpmu_session_add_cpus(struct vpmu_session *session, struct vpmu_error *reterr);

/*
 * vpmu_session_on_sample - @fn hears every sample, from inside vpmu_session_poll() and _stop(). With aggregate, those that are the same
 * may come as one. NULL = nobody.
 */
VPMU_API void vpmu_session_on_sample(struct vpmu_session *session, vpmu_sample_fn fn, void *data);

/*
 * vpmu_session_record - write everything to @path, a perf.data file. Before start. An existing file is renamed
 * to "@path.old" at this moment.
 * Errors: what creating the file gave; -EISDIR.
 */
VPMU_API int vpmu_session_record(struct vpmu_session *session, const char *path,
				 const struct vpmu_record_opts *opts, struct vpmu_error *reterr);

/*
 * vpmu_session_record_fd - the same into an open file, from its beginning, whatever it held: one that can be written at any
 * place (a file, a memfd). The descriptor is duplicated; its position does not change. Before start.
 * Errors: -EBADF, -ESPIPE (a pipe, a socket, a terminal), -EINVAL, and what emptying it gave.
 */
VPMU_API int vpmu_session_record_fd(struct vpmu_session *session, int fd,
				    const struct vpmu_record_opts *opts, struct vpmu_error *reterr);

/* vpmu_session_start - open what was not open yet and let the events count. Errors as add_guest. */
VPMU_API int vpmu_session_start(struct vpmu_session *session, struct vpmu_error *reterr);

/*
 * vpmu_session_poll - wait until samples are there, @timeout_ms at most (-1 = no limit), deliver them.
 * Returns the number of samples delivered, 0 at the time limit, a signal or vpmu_session_wake(); -ESRCH when every guest
 * is gone (not with wait_for_guests);
 * -ENOSPC or another write error when the recording cannot go on (what was written stays readable).
 */
VPMU_API ssize_t vpmu_session_poll(struct vpmu_session *session, int timeout_ms,
				   struct vpmu_error *reterr);

/*
 * vpmu_session_wake - make vpmu_session_poll() return: the one that waits now, else the next one. The only function that may
 * be called from another thread, or a signal handler, while the session is in use; not once it is being freed.
 */
VPMU_API void vpmu_session_wake(struct vpmu_session *session);

/*
 * vpmu_session_forget - nobody asks about samples that were delivered so far any more: profiles of them are resolved. What is kept for
 * their names only (guests that ended, processes of guests) may go. For sessions that go on for long; without effect on one that records.
 */
VPMU_API void vpmu_session_forget(struct vpmu_session *session);

/* vpmu_session_stop - stop counting, deliver what is left, finish the file. Errors: those of writing. */
VPMU_API int vpmu_session_stop(struct vpmu_session *session, struct vpmu_error *reterr);

/* vpmu_session_coverage - what was seen so far. Valid at any time after new. */
VPMU_API void vpmu_session_coverage(const struct vpmu_session *session,
				    struct vpmu_coverage *ret_coverage);

/*
 * vpmu_session_recorded - samples that are in the recording's file. Once stopped, fewer than the coverage's only if
 * writing failed; 0 without a recording.
 */
VPMU_API uint64_t vpmu_session_recorded(const struct vpmu_session *session);

/* The sampling source in use, and the events: @i of 0 …, NULL beyond the end; belongs to the session. */
VPMU_API enum vpmu_source vpmu_session_source(const struct vpmu_session *session);
VPMU_API const struct vpmu_event_info *vpmu_session_event(const struct vpmu_session *session, size_t i);

/* The guest that vpmu_sample.guest means; NULL beyond the end. Stays valid after the guest's death. */
VPMU_API const struct vpmu_guest_info *vpmu_session_guest(const struct vpmu_session *session, size_t i);

/* The session's symbolizer; belongs to the session. */
VPMU_API struct vpmu_symbolizer *vpmu_session_symbolizer(struct vpmu_session *session);

VPMU_END_DECLS

#endif

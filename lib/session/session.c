/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "session/follow.h"
#include "session/guest_kernels.h"
#include "session/session.h"
#include "session/sideband.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"

uint64_t session_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int session_intake_error(const struct vpmu_session *session, int code, struct vpmu_error *reterr)
{
	if (session->recorder && recorder_error(session->recorder, reterr) < 0)
		return code;
	return error_set(reterr, code, "cannot take in what was sampled: %s", strerror(-code));
}

/* ---- life ---- */

struct vpmu_session *vpmu_session_free(struct vpmu_session *session)
{
	if (!session)
		return NULL;
	if (session->started && !session->stopped)
		(void)vpmu_session_stop(session, NULL);
	vec_for_each (target, &session->targets)
		target_free(*target);
	vec_free(&session->targets);
	recorder_free(session->recorder);
	intake_deinit(&session->intake);
	guest_tasks_free(session->tasks);
	processes_free(session->processes);
	symbolizer_free(session->symbolizer);
	vpmu_guests_free(session->host_guests);
	closep(&session->wake_fd);
	roster_deinit(&session->roster);
	plan_deinit(&session->plan);
	free(session->proc_path);
	free(session);
	return NULL;
}
DEFINE_CLEANUP(struct vpmu_session *, vpmu_session_free)

static bool options_known(const struct vpmu_session_opts *opts)
{
	return opts_valid(opts, sizeof(*opts)) &&
	       (!opts || ((!opts->guests.sz || opts_valid(&opts->guests, sizeof(opts->guests))) &&
			  (!opts->symbolizer.sz ||
			   opts_valid(&opts->symbolizer, sizeof(opts->symbolizer)))));
}

VPMU_API int vpmu_session_new(const struct vpmu_session_opts *user_opts,
			      struct vpmu_session **ret_session, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_session_freep) struct vpmu_session *session = NULL;
	struct vpmu_session_opts opts;
	int r;

	if (!options_known(user_opts))
		return error_set(reterr, -EINVAL,
				 "session options of a newer version of this library");
	opts_take(&opts, user_opts);
	session = calloc(1, sizeof(*session));
	if (!session)
		return error_oom(reterr);
	session->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->wake_fd < 0)
		return error_errno(reterr, -errno, "open", "eventfd");
	session->pace_max_ns = opts.pace_ms * (uint64_t)1000000;
	session->follow_every_ns = opts.follow_ms * (uint64_t)1000000;
	session->wait_for_guests = opts.wait_for_guests;
	r = plan_init(&session->plan, &opts, reterr);
	if (r < 0)
		return r;
	r = symbolizer_new(opts.symbolizer.sz ? &opts.symbolizer : NULL, &session->symbolizer,
			   reterr);
	if (r < 0)
		return r;
	session->processes = processes_new(session->symbolizer);
	if (session->processes)
		session->tasks = guest_tasks_new(session->processes, session->symbolizer);
	session->proc_path = strdup(opts.guests.proc_path ? opts.guests.proc_path : "/proc");
	if (!session->processes || !session->proc_path)
		return error_oom(reterr);
	session->intake = (struct intake){
		.plan = &session->plan,
		.roster = &session->roster,
		.processes = session->processes,
		.tasks = session->tasks,
		.symbolizer = session->symbolizer,
	};
	*ret_session = take_ptr(session);
	return 0;
}

/* ---- what to profile ---- */

static int record_process(struct vpmu_session *session, uint32_t index, uint64_t time_ns)
{
	const struct roster_guest *guest = session->roster.guests.items[index];
	_strbuf_ struct strbuf records = {};
	int r;

	r = sideband_process(&session->plan, guest->proc_fd, guest->info.pid, time_ns, &records);
	return r < 0 ? r : intake_records(&session->intake, NULL, records.text, records.n);
}

static int open_guest(struct vpmu_session *session, uint32_t index, struct vpmu_error *reterr)
{
	const struct vpmu_guest_info *info = &session->roster.guests.items[index]->info;
	int r;

	if (symbolizer_set_guest(session->symbolizer, index, info) < 0 ||
	    symbolizer_guest_runs(session->symbolizer, index, info) < 0)
		return error_oom(reterr);
	r = follow_guest(&session->roster, index);
	if (r < 0)
		return error_oom(reterr);
	if (r == FOLLOW_GONE)
		return error_set(reterr, -ESRCH, "guest '%s' (process %d) is gone", info->name,
				 (int)info->pid);
	r = session_open_threads(session, index, reterr);
	if (r < 0 || !session->started)
		return r;
	r = record_process(session, index, session_now_ns());
	return r < 0 ? session_intake_error(session, r, reterr) : 0;
}

VPMU_API int vpmu_session_add_guest(struct vpmu_session *session,
				    const struct vpmu_guest_info *info, bool whole_process,
				    struct vpmu_error *reterr)
{
	struct roster_guest *guest;
	uint32_t known;
	int fd, index, r;

	if (session->whole_cpus)
		return error_set(reterr, -EINVAL,
				 "the session profiles whole CPUs, guest '%s' included",
				 info->name);
	if (session->stopped)
		return error_set(reterr, -EINVAL, "the session has ended");
	known = roster_find(&session->roster, info);
	if (known != VPMU_NO_GUEST) {
		r = session->started ? session_follow_guest(session, known) : 0;
		return r < 0 ? session_intake_error(session, r, reterr) : 0;
	}
	fd = follow_open(session->proc_path, info);
	if (fd == -ESRCH)
		return error_set(reterr, fd, "guest '%s' (process %d) is gone", info->name,
				 (int)info->pid);
	if (fd < 0)
		return error_set(reterr, fd, "cannot open process %d of guest '%s': %s",
				 (int)info->pid, info->name, strerror(-fd));
	index = roster_add(&session->roster, info, fd);
	if (index < 0)
		return error_oom(reterr);
	guest = session->roster.guests.items[index];
	guest->whole = whole_process;
	guest->follow = true;
	r = open_guest(session, (uint32_t)index, reterr);
	if (r < 0) {
		roster_bury(&session->roster, (uint32_t)index);
		(void)session_close_threads(session, (uint32_t)index);
		/* Samples may have been delivered under this index. */
		if (!session->started)
			roster_drop_last(&session->roster);
	}
	return r;
}

/* "0-3,8" */
static int open_cpu_list(struct vpmu_session *session, const char *list, struct vpmu_error *reterr)
{
	const char *p = list;
	char *end;

	while (*p >= '0' && *p <= '9') {
		long first = strtol(p, &end, 10), last = first;

		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		for (long cpu = first; cpu <= last; cpu++) {
			struct target *target;
			int r = target_open(&session->plan, -1, -1, (int)cpu, &target, reterr);

			if (r < 0)
				return r;
			if (!vec_push(&session->targets, target)) {
				target_free(target);
				return error_oom(reterr);
			}
		}
		p = *end == ',' ? end + 1 : end;
	}
	return session->targets.n ? 0
				  : error_set(reterr, -ENODATA, "no CPU is online in '%s'", list);
}

VPMU_API int vpmu_session_add_cpus(struct vpmu_session *session, struct vpmu_error *reterr)
{
	static const char path[] = "/sys/devices/system/cpu/online";
	_free_ char *list = NULL;
	size_t n;
	int r;

	if (session->roster.guests.n)
		return error_set(reterr, -EINVAL,
				 "whole CPUs or single guests, not both in one session");
	if (session->started)
		return error_set(reterr, -EINVAL, "CPUs can be added before the start only");
	if (session->whole_cpus)
		return 0;
	r = io_read_file(AT_FDCWD, path, 65536, &list, &n);
	if (r < 0)
		return error_errno(reterr, r, "read", path);
	r = open_cpu_list(session, list, reterr);
	if (r < 0) {
		vec_for_each (target, &session->targets)
			target_free(*target);
		session->targets.n = 0;
		return r;
	}
	session->whole_cpus = true;
	return 0;
}

/* ---- where to ---- */

VPMU_API void vpmu_session_on_sample(struct vpmu_session *session, vpmu_sample_fn fn, void *data)
{
	session->intake.fn = fn;
	session->intake.fn_data = data;
}

/* Into the file at @path, or in @fd if that is NULL. */
static int record_into(struct vpmu_session *session, const char *path, int fd,
		       const struct vpmu_record_opts *user_opts, struct vpmu_error *reterr)
{
	struct vpmu_record_opts opts;
	int r;

	if (!opts_valid(user_opts, sizeof(*user_opts)))
		return error_set(reterr, -EINVAL,
				 "recording options of a newer version of this library");
	if (session->started || session->recorder)
		return error_set(reterr, -EINVAL, "one recording, asked for before the start");
	if (session->plan.aggregates)
		return error_set(reterr, -EINVAL, "a session that counts samples in the kernel cannot be recorded");
	opts_take(&opts, user_opts);
	if (path)
		r = recorder_new(path, &opts, &session->recorder, reterr);
	else
		r = recorder_new_fd(fd, &opts, &session->recorder, reterr);
	if (r < 0)
		return r;
	session->intake.recorder = session->recorder;
	session->intake.collect_hits = recorder_wants_symbols(session->recorder);
	return 0;
}

VPMU_API int vpmu_session_record(struct vpmu_session *session, const char *path,
				 const struct vpmu_record_opts *opts, struct vpmu_error *reterr)
{
	return record_into(session, path, -1, opts, reterr);
}

VPMU_API int vpmu_session_record_fd(struct vpmu_session *session, int fd,
				    const struct vpmu_record_opts *opts, struct vpmu_error *reterr)
{
	return record_into(session, NULL, fd, opts, reterr);
}

/* ---- start and stop ---- */

/* What was there before: after the events were enabled, see sideband.h. */
static int record_before(struct vpmu_session *session)
{
	_strbuf_ struct strbuf records = {};
	int r;

	r = sideband_kernel(&session->plan, session->proc_path, &records);
	if (r == 0 && session->whole_cpus)
		r = sideband_all_processes(&session->plan, session->proc_path, &records);
	if (r == 0)
		r = intake_records(&session->intake, NULL, records.text, records.n);
	for (uint32_t i = 0; i < session->roster.guests.n && r == 0; i++)
		if (session->roster.guests.items[i]->follow)
			r = record_process(session, i, 0);
	return r;
}

VPMU_API int vpmu_session_start(struct vpmu_session *session, struct vpmu_error *reterr)
{
	int r;

	if (session->started)
		return error_set(reterr, -EINVAL, "the session was started already");
	if (!session->whole_cpus && !session->wait_for_guests && session->roster.guests.n == 0)
		return error_set(
			reterr, -EINVAL,
			"nothing to profile: neither a guest nor the host's CPUs were added");
	if (session->whole_cpus) {
		r = session_look_for_guests(session, reterr);
		if (r < 0)
			return r;
	}
	if (session->recorder) {
		r = recorder_start(session->recorder, &session->plan, reterr);
		if (r < 0)
			return r;
	}
	if (session->intake.collect_hits && !session->whole_cpus)
		guest_kernels_begin(session);
	session->started = true;
	session_set_pace(session);
	vec_for_each (target, &session->targets) {
		r = ring_enable((*target)->ring);
		if (r < 0)
			return error_set(reterr, r, "cannot start the events: %s", strerror(-r));
	}
	r = record_before(session);
	return r < 0 ? session_intake_error(session, r, reterr) : 0;
}

static int finish_recording(struct vpmu_session *session, struct vpmu_error *reterr)
{
	struct recorder_facts facts = {
		.plan = &session->plan,
		.roster = &session->roster,
		.symbolizer = session->symbolizer,
		.tasks = session->tasks,
		.first_time_ns = session->intake.first_time_ns,
		.last_time_ns = session->intake.last_time_ns,
	};

	_free_ uint64_t *pages = hits_kernel_pages(&session->intake.hits, &facts.n_kernel_pages);

	facts.kernel_pages = pages;
	symbolizer_refresh_guests(session->symbolizer);
	if (session->intake.collect_hits && processes_settle(session->processes) == 0)
		hits_resolve(&session->intake.hits, session->processes, session->symbolizer);
	return recorder_finish(session->recorder, &facts, reterr);
}

VPMU_API int vpmu_session_stop(struct vpmu_session *session, struct vpmu_error *reterr)
{
	int r = 0, taken;

	if (!session->started || session->stopped)
		return error_set(reterr, -EINVAL, "the session does not run");
	session->stopped = true;
	vec_for_each (target, &session->targets)
		(void)ring_disable((*target)->ring);
	r = session_drain_guests(session);
	vec_for_each (target, &session->targets) {
		taken = intake_last(&session->intake, *target);
		r = r ? r : taken;
	}
	/* Last: the rings have what the counted threads were called, and what they had mapped. */
	taken = session_drain_counts(session);
	r = r ? r : taken;
	session_say_misses(session);
	vec_for_each (target, &session->targets)
		target_free(*target);
	session->targets.n = 0;
	if (session->recorder) {
		int finished = finish_recording(session, reterr);

		if (finished < 0)
			return finished;
	}
	return r < 0 ? session_intake_error(session, r, reterr) : 0;
}

/* ---- what can be asked ---- */

VPMU_API void vpmu_session_coverage(const struct vpmu_session *session,
				    struct vpmu_coverage *ret_coverage)
{
	*ret_coverage = session->intake.coverage;
	snprintf(ret_coverage->source, sizeof(ret_coverage->source), "%s",
		 session->plan.source_line);
	for (size_t i = 0; i < session->roster.guests.n; i++)
		ret_coverage->guests_not_linux += session->roster.guests.items[i]->not_linux;
}

VPMU_API uint64_t vpmu_session_recorded(const struct vpmu_session *session)
{
	return session->recorder ? recorder_samples(session->recorder) : 0;
}

VPMU_API enum vpmu_source vpmu_session_source(const struct vpmu_session *session)
{
	return session->plan.source;
}

VPMU_API const struct vpmu_event_info *vpmu_session_event(const struct vpmu_session *session,
							  size_t i)
{
	return i < session->plan.n_events ? &session->plan.events[i].info : NULL;
}

VPMU_API const struct vpmu_guest_info *vpmu_session_guest(const struct vpmu_session *session,
							  size_t i)
{
	return i < session->roster.guests.n ? &session->roster.guests.items[i]->info : NULL;
}

VPMU_API struct vpmu_symbolizer *vpmu_session_symbolizer(struct vpmu_session *session)
{
	return session->symbolizer;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes posing as guests, to be handed to a session: it takes the caller's word for what is a
 * guest.
 */
#ifndef TESTS_UNIT_SELF_GUEST_H
#define TESTS_UNIT_SELF_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <vpmu/vpmu.h>

#include "busy.h"
#include "guest/proc_pid.h"

/* @pid as a guest called "self"; @vcpu: its thread that is vCPU 3, or NULL for none. */
static inline struct vpmu_guest_info self_guest(pid_t pid, const struct vpmu_vcpu_info *vcpu)
{
	struct vpmu_guest_info info = {
		.pid = pid,
		.name = "self",
		.uuid = "",
		.exe = "",
		.vcpus = vcpu,
		.n_vcpus = vcpu != NULL,
	};
	struct task_stat stat;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	CHECK_EQ(task_stat_read(fd, "stat", &stat), 0);
	close(fd);
	info.start_ticks = stat.start_ticks;
	return info;
}

/* A child that spins in its only thread; it ends with its parent, however that ends. */
static inline pid_t busy_child(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			;
	}
	return pid;
}

static inline void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A session on the software clock; skips the test where there are no perf events. */
static inline struct vpmu_session *clock_session(struct vpmu_session_opts *opts)
{
	struct vpmu_session *session = NULL;
	struct vpmu_error error = {};
	int r;

	opts->events = opts->events ? opts->events : "cpu-clock";
	opts->symbolizer = (struct vpmu_symbolizer_opts){
		.sz = sizeof(opts->symbolizer),
		.cache_dir = "",
		.no_debuginfod = true,
	};
	r = vpmu_session_new(opts, &session, &error);
	if (r < 0)
		FAIL("session: %s", error.text);
	return session;
}

static inline void add_self(struct vpmu_session *session, const struct vpmu_guest_info *info,
			    bool whole)
{
	struct vpmu_error error = {};
	int r = vpmu_session_add_guest(session, info, whole, &error);

	if (r == -EACCES || r == -EPERM || r == -ENOENT || r == -ENOSYS)
		skip("perf events are not available here (perf_event_paranoid, CAP_PERFMON)");
	if (r < 0)
		FAIL("add_guest: %s", error.text);
}

/* Polls until there were @samples, or something went wrong; on a busy machine that takes its time. */
static inline ssize_t poll_until(struct vpmu_session *session, uint64_t samples)
{
	uint64_t deadline_ms = test_deadline_ms();
	ssize_t r = 0;

	while (r >= 0 && test_now_ms() < deadline_ms) {
		struct vpmu_coverage coverage;

		vpmu_session_coverage(session, &coverage);
		if (coverage.samples >= samples)
			break;
		r = vpmu_session_poll(session, 50, NULL);
	}
	return r;
}

/* Polls for @ms. Returns the last result. */
static inline ssize_t poll_for(struct vpmu_session *session, int ms)
{
	uint64_t end_ms = test_now_ms() + (uint64_t)ms;
	ssize_t r;

	do
		r = vpmu_session_poll(session, 20, NULL);
	while (r >= 0 && test_now_ms() < end_ms);
	return r;
}

#endif

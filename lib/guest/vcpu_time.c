/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/proc_pid.h"
#include "guest/vcpu_time.h"

uint64_t vcpu_time_step_ns(void)
{
	long hz = sysconf(_SC_CLK_TCK);

	return 1000000000u / (uint64_t)(hz > 0 ? hz : 100);
}

static void read_sched(int proc_fd, pid_t tid, struct vcpu_time *time)
{
	char path[64], text[128];
	uint64_t slices;

	snprintf(path, sizeof(path), "task/%d/schedstat", (int)tid);
	if (read_start(proc_fd, path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &time->run_ns, &time->wait_ns,
		   &slices) != 3)
		return;
	/*
	 * Whoever has been on a CPU has more than zeros: an accounting that is off has nothing
	 * else.
	 */
	time->has_sched = slices || time->run_ns;
}

/* The number behind "\nNAME:\t". */
static bool find_number(const char *text, const char *name, uint64_t *ret_number)
{
	const char *line = strstr(text, name);

	return line && sscanf(line + strlen(name), " %" SCNu64, ret_number) == 1;
}

static void read_switches(int proc_fd, pid_t tid, struct vcpu_time *time)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "task/%d/status", (int)tid);
	if (read_start(proc_fd, path, text, sizeof(text)) < 0)
		return;
	time->has_switches = find_number(text, "\nvoluntary_ctxt_switches:", &time->voluntary) &&
			     find_number(text, "\nnonvoluntary_ctxt_switches:", &time->involuntary);
}

int vcpu_time_read(int proc_fd, pid_t tid, struct vcpu_time *ret_time)
{
	uint64_t step = vcpu_time_step_ns();
	struct vcpu_time time = {};
	struct task_stat stat;
	char path[64];
	int r;

	/* First what is exact: the time between this and the other reading is the guess's. */
	read_sched(proc_fd, tid, &time);
	snprintf(path, sizeof(path), "task/%d/stat", (int)tid);
	r = task_stat_read(proc_fd, path, &stat);
	if (r < 0)
		return r;
	time.user_ns = stat.user_ticks * step;
	time.system_ns = stat.system_ticks * step;
	time.guest_ns = stat.guest_ticks * step;
	read_switches(proc_fd, tid, &time);
	*ret_time = time;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "fake_proc.h"
#include "guest/vcpu_time.h"
#include "self_guest.h"

static int open_proc(const char *root, int pid)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%d", root, pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_CMP(fd, >=, 0);
	return fd;
}

/*
 * 211 ticks of user time, of which 199 in the guest; 7 of system time. The name tries to look like
 * fields.
 */
static void make_thread(void)
{
	fake_text(
		fake_path("7/task/9/stat"),
		"9 (CPU 0) R 1 2) R 1 7 7 0 -1 4194368 5 0 0 0 211 7 0 0 20 0 2 0 1000 1000 10 "
		"18446744073709551615 1 2 3 0 0 0 4096 0 0 0 0 0 17 1 0 0 0 199 0 1 2 3 4 5 6 7 0\n");
	fake_text(fake_path("7/task/9/schedstat"), "2183456789 1247391684 363\n");
	fake_text(fake_path("7/task/9/status"),
		  "Name:\tCPU 0\nvoluntary_ctxt_switches:\t13\nnonvoluntary_ctxt_switches:\t362\n");
}

TEST(all_three_files_are_read)
{
	struct vcpu_time t;
	uint64_t step = vcpu_time_step_ns();
	int fd;

	make_thread();
	fd = open_proc(fake_dir(), 7);
	CHECK_EQ(vcpu_time_read(fd, 9, &t), 0);
	CHECK_EQ(t.user_ns, 211 * step);
	CHECK_EQ(t.system_ns, 7 * step);
	CHECK_EQ(t.guest_ns, 199 * step);
	CHECK(t.has_sched);
	CHECK_EQ(t.run_ns, 2183456789);
	CHECK_EQ(t.wait_ns, 1247391684);
	CHECK(t.has_switches);
	CHECK_EQ(t.voluntary, 13);
	CHECK_EQ(t.involuntary, 362);
	close(fd);
}

TEST(what_is_not_there_is_not_zero)
{
	struct vcpu_time t;
	int fd;

	make_thread();
	fake_text(fake_path("7/task/9/schedstat"), "0 0 0\n");
	CHECK_EQ(remove(fake_path("7/task/9/status")), 0);
	fd = open_proc(fake_dir(), 7);
	CHECK_EQ(vcpu_time_read(fd, 9, &t), 0);
	CHECK(!t.has_sched);
	CHECK(!t.has_switches);
	CHECK_EQ(remove(fake_path("7/task/9/schedstat")), 0);
	CHECK_EQ(vcpu_time_read(fd, 9, &t), 0);
	CHECK(!t.has_sched);
	CHECK_EQ(vcpu_time_read(fd, 8, &t), -ENOENT);
	close(fd);
}

/* A process of its own: valgrind lets but one thread of a process run at a time, the others sleep. */
TEST(a_busy_thread_runs_or_waits_all_the_time)
{
	struct vcpu_time before, after;
	pid_t child = busy_child();
	int fd = open_proc("/proc", (int)child);
	uint64_t begin_ms = test_now_ms();
	double accounted_ms = 0, wall_ms = 0;

	CHECK_EQ(vcpu_time_read(fd, child, &before), 0);
	/* The accounts are up to a tick or a wait old, which matters the less the longer it is. */
	WAIT_UNTIL(wall_ms >= 300 && accounted_ms > wall_ms * 0.6 && accounted_ms < wall_ms * 1.4, {
		pause_ms(300);
		CHECK_EQ(vcpu_time_read(fd, child, &after), 0);
		if (!after.has_sched)
			skip("this kernel has no schedstat");
		wall_ms = (double)(test_now_ms() - begin_ms);
		accounted_ms = (double)(after.run_ns - before.run_ns + after.wait_ns - before.wait_ns) / 1e6;
	});
	CHECK_EQ(after.guest_ns, 0);
	end_child(child);
	close(fd);
}

int main(void)
{
	return test_main();
}

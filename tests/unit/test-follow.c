/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "fake_proc.h"
#include "session/follow.h"
#include "test.h"

/* Process 7 with one vCPU, added to @roster as guest 0. */
static void add_guest(struct roster *roster)
{
	struct vpmu_guest_info info = {
		.pid = 7, .start_ticks = FAKE_YOUNG, .name = "web", .uuid = "", .exe = ""};
	int fd;

	fake_process(7, "vm", 2);
	fake_link(7, "exe", "/usr/bin/vm");
	fake_link(7, "fd/3", "anon_inode:kvm-vcpu:0");
	fake_thread(7, 8, "CPU 0/KVM", 5);
	fd = follow_open(fake_dir(), &info);
	CHECK_CMP(fd, >=, 0);
	CHECK_EQ(roster_add(roster, &info, fd), 0);
	CHECK_EQ(follow_guest(roster, 0), FOLLOW_CHANGED);
}

TEST(threads_are_looked_at_until_they_have_settled)
{
	struct roster roster = {};
	const struct vpmu_guest_info *info;

	add_guest(&roster);
	info = &roster.guests.items[0]->info;
	CHECK_EQ(info->n_vcpus, 1);
	CHECK_EQ(info->vcpus[0].tid, 8);
	CHECK_EQ(roster.guests.items[0]->threads.n, 2);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(follow_guest(&roster, 0), FOLLOW_SAME);
	/* A new vCPU: first its thread, then its name. */
	fake_thread(7, 9, "vm", 0);
	CHECK_EQ(follow_guest(&roster, 0), FOLLOW_CHANGED);
	CHECK_EQ(info->n_vcpus, 1);
	fake_thread(7, 9, "CPU 1/KVM", 0);
	CHECK_EQ(follow_guest(&roster, 0), FOLLOW_CHANGED);
	CHECK_EQ(info->n_vcpus, 2);
	CHECK_EQ(info->vcpus[1].tid, 9);
	roster_deinit(&roster);
}

TEST(a_name_that_comes_very_late_is_found_too)
{
	struct roster roster = {};
	int looks = 0;

	add_guest(&roster);
	fake_thread(7, 9, "vm", 0);
	for (int i = 0; i < 20; i++)
		CHECK_CMP(follow_guest(&roster, 0), >=, 0);
	fake_thread(7, 9, "CPU 1/KVM", 0);
	while (follow_guest(&roster, 0) == FOLLOW_SAME)
		CHECK_CMP(++looks, <, 20);
	CHECK_EQ(roster.guests.items[0]->info.n_vcpus, 2);
	roster_deinit(&roster);
}

TEST(the_dead_are_buried)
{
	struct roster roster = {};

	add_guest(&roster);
	/* A zombie: one thread, no program. */
	CHECK_EQ(remove(fake_path("7/task/8/stat")), 0);
	CHECK_EQ(remove(fake_path("7/task/8")), 0);
	CHECK_EQ(remove(fake_path("7/exe")), 0);
	CHECK_EQ(follow_guest(&roster, 0), FOLLOW_GONE);
	CHECK_EQ(roster.guests.items[0]->proc_fd, -1);
	CHECK_EQ(roster.guests.items[0]->info.n_vcpus, 1); /* it had one */
	roster_deinit(&roster);
}

TEST(a_pid_that_is_used_again_is_somebody_else)
{
	struct vpmu_guest_info info = {.pid = 7, .start_ticks = 1, .name = ""};

	fake_process(7, "vm", 1);
	CHECK_EQ(follow_open(fake_dir(), &info), -ESRCH);
	info.pid = 70;
	CHECK_EQ(follow_open(fake_dir(), &info), -ESRCH);
}

int main(void)
{
	return test_main();
}

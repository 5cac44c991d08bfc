/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>

#include "session/roster.h"
#include "test.h"

static struct vpmu_vcpu_info two[] = {{0, 101}, {1, 102}};

static struct vpmu_guest_info guest(pid_t pid, const char *name)
{
	return (struct vpmu_guest_info){
		.pid = pid, .start_ticks = 7, .name = name, .uuid = "", .exe = ""};
}

static int add(struct roster *roster, const struct vpmu_guest_info *info)
{
	return roster_add(roster, info, open("/dev/null", O_RDONLY | O_CLOEXEC));
}

TEST(threads_and_processes_are_told_apart)
{
	struct vpmu_guest_info web = guest(100, "web"), db = guest(50, "db");
	struct roster roster = {};
	uint32_t index, vcpu;

	web.vcpus = two;
	web.n_vcpus = 2;
	CHECK_EQ(add(&roster, &web), 0);
	CHECK_EQ(add(&roster, &db), 1);
	roster_at(&roster, 100, 102, &index, &vcpu);
	CHECK_EQ(index, 0);
	CHECK_EQ(vcpu, 1);
	roster_at(&roster, 50, 51, &index, &vcpu); /* a thread of db, but no vCPU */
	CHECK_EQ(index, 1);
	CHECK_EQ(vcpu, VPMU_NO_VCPU);
	roster_at(&roster, 60, 60, &index, &vcpu);
	CHECK_EQ(index, VPMU_NO_GUEST);
	CHECK_EQ(vcpu, VPMU_NO_VCPU);
	roster_deinit(&roster);
}

TEST(a_guest_keeps_its_number_after_death_but_not_its_threads)
{
	struct vpmu_guest_info web = guest(100, "web");
	struct roster roster = {};
	uint32_t index, vcpu;

	web.vcpus = two;
	web.n_vcpus = 2;
	CHECK_EQ(add(&roster, &web), 0);
	roster_bury(&roster, 0);
	CHECK_EQ(roster_find(&roster, &web), VPMU_NO_GUEST);
	roster_at(&roster, 100, 101, &index, &vcpu);
	CHECK_EQ(index, VPMU_NO_GUEST);
	CHECK_STR(roster.guests.items[0]->info.name, "web");
	CHECK_EQ(roster.guests.items[0]->info.n_vcpus, 2);
	/* Its pid is used again. */
	web.start_ticks = 8;
	CHECK_EQ(add(&roster, &web), 1);
	roster_at(&roster, 100, 101, &index, &vcpu);
	CHECK_EQ(index, 1);
	CHECK_EQ(roster_find(&roster, &web), 1);
	roster_deinit(&roster);
}

TEST(vcpus_are_added_in_order_and_once)
{
	struct vpmu_guest_info web = guest(100, "web");
	struct vpmu_vcpu_info late[] = {{2, 90}, {0, 101}}, again = {1, 140};
	struct roster roster = {};
	const struct vpmu_guest_info *info;

	web.vcpus = two;
	web.n_vcpus = 2;
	CHECK_EQ(add(&roster, &web), 0);
	CHECK_EQ(roster_add_vcpus(&roster, 0, late, 2), 0);
	CHECK_EQ(roster_add_vcpus(&roster, 0, &again, 1), 0); /* vCPU 1 was unplugged and plugged */
	info = &roster.guests.items[0]->info;
	CHECK_EQ(info->n_vcpus, 4);
	CHECK_EQ(info->vcpus[1].tid, 102);
	CHECK_EQ(info->vcpus[2].tid, 140);
	CHECK_EQ(info->vcpus[3].index, 2);
	roster_deinit(&roster);
}

TEST(a_guest_that_could_not_be_added_leaves_no_trace)
{
	struct vpmu_guest_info web = guest(100, "web");
	struct roster roster = {};
	uint32_t index, vcpu;

	CHECK_EQ(add(&roster, &web), 0);
	roster_bury(&roster, 0);
	roster_drop_last(&roster);
	CHECK_EQ(roster.guests.n, 0);
	roster_at(&roster, 100, 100, &index, &vcpu);
	CHECK_EQ(index, VPMU_NO_GUEST);
	roster_deinit(&roster);
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PMUs that are none: they take events until they are full, as the kernel's check of groups does. */
#include <errno.h>
#include <fcntl.h>
#include <vpmu/host.h>

#include "fake_proc.h"
#include "host/pmu_size.h"
#include "test.h"

static struct pmu_size pmu; /* what the fake has */
static uint32_t general_used;
static int first_fd;

static int fake_open(const struct perf_event_attr *attr, int leader)
{
	static const unsigned int fixed[] = {
		[PERF_COUNT_HW_CPU_CYCLES] = VPMU_FIXED_CYCLES,
		[PERF_COUNT_HW_INSTRUCTIONS] = VPMU_FIXED_INSTRUCTIONS,
		[PERF_COUNT_HW_REF_CPU_CYCLES] = VPMU_FIXED_REF_CYCLES,
	};
	int fd;

	CHECK_EQ(attr->type, PERF_TYPE_HARDWARE);
	CHECK(attr->disabled && attr->exclude_guest);
	CHECK_EQ(leader, general_used ? first_fd : -1);
	if (attr->config == PERF_COUNT_HW_BRANCH_MISSES || !(pmu.fixed & fixed[attr->config])) {
		if (general_used == pmu.general)
			return general_used ? -EINVAL : -ENOENT;
		general_used++;
	}
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (leader < 0)
		first_fd = fd;
	return fd;
}

static struct pmu_size measured(uint32_t general, unsigned int fixed)
{
	pmu = (struct pmu_size){ general, fixed };
	general_used = 0;
	return pmu_size(fake_open);
}

TEST(a_group_grows_until_it_is_refused)
{
	static const unsigned int all = VPMU_FIXED_INSTRUCTIONS | VPMU_FIXED_CYCLES | VPMU_FIXED_REF_CYCLES;

	CHECK_EQ(measured(0, 0).general, 0);
	CHECK_EQ(measured(6, 0).general, 6); /* AMD */
	CHECK_EQ(measured(6, 0).fixed, 0);
	CHECK_EQ(measured(4, all).general, 4); /* Intel with hyper-threading */
	CHECK_EQ(measured(4, all).fixed, all);
	CHECK_EQ(measured(8, VPMU_FIXED_CYCLES).fixed, VPMU_FIXED_CYCLES);
	CHECK_CMP(measured(1000, 0).general, <=, 64);
}

TEST(the_watchdog_takes_the_fixed_counter_or_a_general_one)
{
	struct pmu_size size = { 4, VPMU_FIXED_CYCLES | VPMU_FIXED_INSTRUCTIONS };

	pmu_size_without_watchdog(&size);
	CHECK_EQ(size.general, 4);
	CHECK_EQ(size.fixed, VPMU_FIXED_INSTRUCTIONS);
	pmu_size_without_watchdog(&size);
	CHECK_EQ(size.general, 3);
	size = (struct pmu_size){};
	pmu_size_without_watchdog(&size);
	CHECK_EQ(size.general, 0);
}

TEST(this_machine_has_as_many_as_open)
{
	struct vpmu_host *host;
	unsigned int fixed;
	uint32_t general;

	CHECK_EQ(vpmu_host_new(NULL, &host, NULL), 0);
	vpmu_host_counters(host, &general, &fixed);
	CHECK_CMP(general, <=, 64);
	CHECK_EQ(fixed & ~(VPMU_FIXED_INSTRUCTIONS | VPMU_FIXED_CYCLES | VPMU_FIXED_REF_CYCLES), 0);
	if (!vpmu_host_ability(host, VPMU_ABILITY_HW_CYCLES)->ok)
		CHECK_EQ(general, 0);
	vpmu_host_free(host);
}

int main(void)
{
	return test_main();
}

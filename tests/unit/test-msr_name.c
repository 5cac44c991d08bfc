/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/msr_name.h"
#include "test.h"

static void check(uint32_t msr, const char *want)
{
	char text[64];

	CHECK_STR(msr_name(msr, text, sizeof(text)), want);
}

TEST(registers_have_their_names_and_places)
{
	check(0x6e0, "IA32_TSC_DEADLINE");
	check(0x186, "IA32_PERFEVTSEL0");
	check(0x18d, "IA32_PERFEVTSEL7");
	check(0x48c, "IA32_VMX_CAP12");
	check(0xc0010200, "F15H_PERF_CTL0");
	check(0xc0010203, "F15H_PERF_CTR1");
	check(0xc001020b, "F15H_PERF_CTR5");
	check(0x4b564d02, "KVM_ASYNC_PF_EN");
	check(0x18e, "0x18e");
	check(0xdeadbeef, "0xdeadbeef");
}

TEST(those_of_a_pmu_are_known)
{
	CHECK_EQ(msr_pmu(0x38f), MSR_PMU_GLOBAL_CTRL);
	CHECK_EQ(msr_pmu(0xc0000301), MSR_PMU_GLOBAL_CTRL);
	CHECK_EQ(msr_pmu(0x187), MSR_PMU_EVENTSEL);
	CHECK_EQ(msr_pmu(0xc0010000), MSR_PMU_EVENTSEL);
	CHECK_EQ(msr_pmu(0xc0010200), MSR_PMU_EVENTSEL);
	CHECK_EQ(msr_pmu(0xc0010201), MSR_PMU_COUNTER);
	CHECK_EQ(msr_pmu(0x309), MSR_PMU_COUNTER);
	CHECK_EQ(msr_pmu(0x38d), MSR_PMU_FIXED_CTRL);
	CHECK_EQ(msr_pmu(0x1d9), MSR_PMU_DEBUGCTL);
	CHECK_EQ(msr_pmu(0x6e0), MSR_PMU_NONE);
	CHECK_STR(msr_pmu_name(MSR_PMU_GLOBAL_CTRL), "global_ctrl");
	CHECK_STR(msr_pmu_name(MSR_PMU_NONE), "");
}

int main(void)
{
	return test_main();
}

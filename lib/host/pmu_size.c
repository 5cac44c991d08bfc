/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <vpmu/host.h>

#include "host/pmu_size.h"
#include "util/cleanup.h"
#include "util/macro.h"

/* More than any PMU has: a sieve (a nested hypervisor's PMU that does not check) does not keep us here. */
#define GENERAL_MAX 64

static struct perf_event_attr counting(uint64_t config)
{
	return (struct perf_event_attr){
		.type = PERF_TYPE_HARDWARE, .size = sizeof(struct perf_event_attr), .config = config, .disabled = 1,
		.exclude_hv = 1, .exclude_guest = 1, /* guests left out: no trial may be in their way */
	};
}

struct pmu_size pmu_size(int (*open)(const struct perf_event_attr *attr, int leader))
{
	static const struct {
		uint64_t config;
		unsigned int fixed;
	} alone[] = {
		{ PERF_COUNT_HW_INSTRUCTIONS, VPMU_FIXED_INSTRUCTIONS },
		{ PERF_COUNT_HW_CPU_CYCLES, VPMU_FIXED_CYCLES },
		{ PERF_COUNT_HW_REF_CPU_CYCLES, VPMU_FIXED_REF_CYCLES },
	};
	int fds[GENERAL_MAX + ARRAY_SIZE(alone)];
	struct perf_event_attr attr = counting(PERF_COUNT_HW_BRANCH_MISSES);
	struct pmu_size size = {};
	size_t n = 0;

	for (; n < GENERAL_MAX; n++) {
		fds[n] = open(&attr, n ? fds[0] : -1);
		if (fds[n] < 0)
			break;
	}
	size.general = (uint32_t)n;
	for (size_t i = 0; size.general && i < ARRAY_SIZE(alone); i++) {
		attr = counting(alone[i].config);
		fds[n] = open(&attr, fds[0]);
		if (fds[n] < 0)
			continue;
		size.fixed |= alone[i].fixed;
		n++;
	}
	for (size_t i = 0; i < n; i++)
		closep(&fds[i]);
	return size;
}

void pmu_size_without_watchdog(struct pmu_size *size)
{
	if (size->fixed & VPMU_FIXED_CYCLES)
		size->fixed &= ~VPMU_FIXED_CYCLES;
	else if (size->general)
		size->general--;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many counters a CPU has. No file says so; but the kernel refuses to open a group of events that can never be counted
 * together (perf_event_open(2), "EINVAL"; in arch/x86/events/core.c validate_group(), in drivers/perf/arm_pmu.c
 * the same), whatever else is being counted just now. So a group grows until it is refused: first by branch misses,
 * which no fixed counter counts, then by what Intel's fixed counters do.
 */
#ifndef HOST_PMU_SIZE_H
#define HOST_PMU_SIZE_H

#include <linux/perf_event.h>
#include <stdint.h>

struct pmu_size {
	uint32_t general;
	unsigned int fixed; /* VPMU_FIXED_* */
};

/* @open: as perf_open() for this thread, in the group of @leader (-1 = a new one). */
struct pmu_size pmu_size(int (*open)(const struct perf_event_attr *attr, int leader));

/* The kernel's NMI watchdog counts cycles on every CPU (kernel/watchdog_perf.c), on the fixed counter if there is one. */
void pmu_size_without_watchdog(struct pmu_size *size);

#endif

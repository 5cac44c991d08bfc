/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Model-specific registers that guests leave for, by the names of the processors' manuals and KVM's
 * interface, and which of them belong to a PMU.
 */
#ifndef FORMAT_MSR_NAME_H
#define FORMAT_MSR_NAME_H

#include <stddef.h>
#include <stdint.h>

enum msr_pmu {
	MSR_PMU_NONE = 0,
	MSR_PMU_EVENTSEL,    /* what a counter counts */
	MSR_PMU_COUNTER,
	MSR_PMU_FIXED_CTRL,
	MSR_PMU_GLOBAL_CTRL, /* all on or off */
	MSR_PMU_GLOBAL_STATUS,
	MSR_PMU_LBR,
	MSR_PMU_DEBUGCTL,
	MSR_PMU_PEBS,
	MSR_PMU_IBS,
};

/* "IA32_TSC_DEADLINE", "IA32_PMC3", …; the number in hexadecimal if nobody knows it. Returns @text. */
const char *msr_name(uint32_t msr, char *text, size_t room);

enum msr_pmu msr_pmu(uint32_t msr);

/* "eventsel", "counter", …: a static string; "" for NONE. */
const char *msr_pmu_name(enum msr_pmu pmu);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events of the PMUs that the kernel describes in sysfs, in perf's notation: "cpu/event=0x3c,umask=0x1/", "msr/tsc/",
 * "cpu/config=0x13c,name=busy/". Under /sys/bus/event_source/devices/PMU:
 *
 *	type		the number for perf_event_attr.type
 *	format/TERM	which bits a term fills: "config:0-7,32-35"
 *	events/NAME	terms that make up an event: "event=0x3c,umask=0x1"
 *	cpus, cpumask	the CPUs of a core PMU of which there are several; where to open a PMU beside the cores
 *
 * Groups, scale and unit files are not looked at.
 */
#ifndef HOST_EVENT_PMU_H
#define HOST_EVENT_PMU_H

#include "host/event.h"

/*
 * @text: "PMU/TERMS/", what follows the second slash being left to the caller (*ret_rest).
 * Errors: -EINVAL (no such PMU or term, a value that does not fit), -ENOMEM.
 */
int event_pmu_parse(const char *sys_path, const char *text, struct event_spec *ret_spec, const char **ret_rest,
		    struct vpmu_error *reterr);

/* Whether events of this perf_event_attr.type count on the cores, where KVM's mediated vPMU competes. */
bool event_pmu_is_core(const char *sys_path, const char *pmu);

#endif

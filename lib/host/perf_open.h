/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* perf_event_open(2), and who may call it. For events that libperf's rings do not own: trials, and events for BPF. */
#ifndef HOST_PERF_OPEN_H
#define HOST_PERF_OPEN_H

#include <linux/perf_event.h>
#include <sys/types.h>

/* A descriptor (close-on-exec), or a negative errno. */
int perf_open(const struct perf_event_attr *attr, pid_t tid, int cpu);

/* The same for this thread, in the group of @leader (-1 = a new one). */
int perf_open_grouped(const struct perf_event_attr *attr, int leader);

/*
 * kernel.perf_event_paranoid: for those without CAP_PERFMON, above -1 no tracepoint samples, above 0 no whole CPUs,
 * above 1 no kernel (hence no guest) addresses, above 2 (Debian's patch) nothing at all. *ret_level is untouched on
 * failure; 0 or a negative errno.
 */
int perf_paranoid_level(const char *proc_path, int *ret_level);

/*
 * Parameter enable_mediated_pmu (Linux 7.0) of whichever KVM module has it: 'Y', 'N', or 0 where there is none. *ret_module is
 * that module's name.
 */
char perf_mediated_pmu(const char *sys_path, const char **ret_module);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of <vpmu/host.h>: one probe per ability. A probe tries the thing itself; files come from the paths that the
 * host object holds (so that tests bring trees of their own), system calls are the real ones.
 */
#ifndef HOST_ABILITY_H
#define HOST_ABILITY_H

#include <limits.h>
#include <vpmu/host.h>

#include "util/macro.h"

struct vpmu_host {
	char proc_path[PATH_MAX], sys_path[PATH_MAX], dev_path[PATH_MAX], tracefs_path[PATH_MAX];
	struct vpmu_ability_info abilities[VPMU_ABILITY_COUNT];
	enum vpmu_source source;
	char why[256]; /* why vpmu_host_source() chose no better one */
};

/* Fills @info, of which name is set and the rest zero; ability_ok() or ability_missing() at the end. */
typedef void (*ability_probe)(const struct vpmu_host *host, struct vpmu_ability_info *info);

void ability_ok(struct vpmu_ability_info *info, const char *detail, ...) _printf_(2, 3);
/* @code: what the attempt gave. Follow with ability_how() where there is something to do about it. */
void ability_missing(struct vpmu_ability_info *info, int code, const char *detail, ...) _printf_(3, 4);
void ability_how(struct vpmu_ability_info *info, const char *how, ...) _printf_(2, 3);

/* Whether this thread has @capability (linux/capability.h) in effect. */
bool ability_capable(unsigned int capability);

/* ability_perf.c: by opening events */
void ability_probe_perf_events(const struct vpmu_host *host, struct vpmu_ability_info *info);
void ability_probe_hw_cycles(const struct vpmu_host *host, struct vpmu_ability_info *info);
void ability_probe_hw_guest_cycles(const struct vpmu_host *host, struct vpmu_ability_info *info);
void ability_probe_cpu_clock(const struct vpmu_host *host, struct vpmu_ability_info *info);
void ability_probe_mediated_pmu(const struct vpmu_host *host, struct vpmu_ability_info *info);
void ability_probe_memlock(const struct vpmu_host *host, struct vpmu_ability_info *info);

/* ability_bpf.c: by loading programs */
void ability_probe_bpf(const struct vpmu_host *host, struct vpmu_ability_info *info);
void ability_probe_bpf_iter(const struct vpmu_host *host, struct vpmu_ability_info *info);

#endif

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

/*
 * As vpmu_host_new(), but tries only the abilities in the set (bit N: ability N); the others stay "not ok, not tried". What a session
 * asks costs a tenth of a millisecond, loading BPF programs some ten.
 */
int host_new_some(const struct vpmu_host_opts *opts, uint32_t abilities, struct vpmu_host **ret_host,
		  struct vpmu_error *reterr);

/* What the choice of a source depends on. */
#define HOST_ABILITIES_FOR_SOURCE                                                                  \
	(1u << VPMU_ABILITY_PERF_EVENTS | 1u << VPMU_ABILITY_HW_CYCLES |                           \
	 1u << VPMU_ABILITY_HW_GUEST_CYCLES | 1u << VPMU_ABILITY_CPU_CLOCK |                       \
	 1u << VPMU_ABILITY_MEDIATED_PMU)

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

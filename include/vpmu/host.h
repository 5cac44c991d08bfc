/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this host can do for a profiler: one table of abilities, each found by trying it, never by a
 * version number. `vpmu doctor` prints it; sessions choose their sampling source from it.
 */
#ifndef VPMU_HOST_H
#define VPMU_HOST_H

#include <vpmu/common.h>
#include <vpmu/error.h>

enum vpmu_ability {
	VPMU_ABILITY_KVM,	      /* /dev/kvm can be opened: guests can run here */
	VPMU_ABILITY_PERF_EVENTS,     /* perf_event_open for other users' threads */
	VPMU_ABILITY_HW_CYCLES,	      /* hardware cycles */
	VPMU_ABILITY_HW_GUEST_CYCLES, /* hardware cycles with exclude_host */
	VPMU_ABILITY_CPU_CLOCK,	      /* the software clock */
	VPMU_ABILITY_MEDIATED_PMU,    /* KVM's mediated vPMU is off (ok) or on: guest-inclusive hardware events
					 would keep guests from starting, so sessions use the clock */
	VPMU_ABILITY_TRACEPOINTS,     /* tracefs is mounted and readable */
	VPMU_ABILITY_KVM_ENTRY,	      /* kvm:kvm_entry exists */
	VPMU_ABILITY_HOST_SYMBOLS,    /* /proc/kallsyms shows addresses */
	VPMU_ABILITY_OTHER_PROCESSES, /* /proc/PID/fd and maps of other users (CAP_SYS_PTRACE) */
	VPMU_ABILITY_BPF,	      /* perf_event and tracepoint programs load */
	VPMU_ABILITY_BPF_ITER,	      /* iterator programs and kernel BTF */
	VPMU_ABILITY_MEMLOCK,	      /* locked memory for rings */
	VPMU_ABILITY_DEBUGINFOD,      /* DEBUGINFOD_URLS is set and the client library is there */
};
#define VPMU_ABILITY_COUNT 14

struct vpmu_ability_info {
	const char *name;  /* short, e.g. "hardware cycles, guest only" */
	bool ok;
	int code;	   /* 0, or the negative errno that the attempt gave */
	char detail[160];  /* what was seen */
	char how[200];	   /* what to do about it; empty when ok or when nothing helps */
};

/* Where samples come from, in order of preference. */
enum vpmu_source {
	VPMU_SOURCE_NONE = 0,
	VPMU_SOURCE_CYCLES = 1,	   /* hardware cycles: one guest-only and one host-only event a thread */
	VPMU_SOURCE_CPU_CLOCK = 2, /* software clock: one event, the record tells the side */
	VPMU_SOURCE_EVENTS = 3,	   /* events that the caller named */
};

#define VPMU_FIXED_INSTRUCTIONS 1u
#define VPMU_FIXED_CYCLES	2u
#define VPMU_FIXED_REF_CYCLES	4u

struct vpmu_host_opts {
	size_t sz;
	const char *proc_path;	  /* default "/proc" */
	const char *sys_path;	  /* default "/sys" */
	const char *tracefs_path; /* default <sys>/kernel/tracing, then <sys>/kernel/debug/tracing */
	const char *dev_path;	  /* default "/dev" */
};

struct vpmu_host; /* what was found, kept until freed */

VPMU_BEGIN_DECLS

/* vpmu_host_new - try everything once (some 10 ms). Errors: -EINVAL, -ENOMEM; an ability that is missing is a result. */
VPMU_API int vpmu_host_new(const struct vpmu_host_opts *opts, struct vpmu_host **ret_host,
			   struct vpmu_error *reterr);
VPMU_API struct vpmu_host *vpmu_host_free(struct vpmu_host *host);

/* vpmu_host_ability - what is known of @ability; belongs to @host. NULL for a number out of range. */
VPMU_API const struct vpmu_ability_info *vpmu_host_ability(const struct vpmu_host *host,
							   enum vpmu_ability ability);

/*
 * vpmu_host_source - the best sampling source here.
 * @ret_why: a static or host-owned line saying why not a better one; NULL if not wanted.
 */
VPMU_API enum vpmu_source vpmu_host_source(const struct vpmu_host *host, const char **ret_why);

/*
 * vpmu_host_counters - how many hardware events count at once on each CPU, found by opening groups of them.
 * @ret_general: counters that count anything; 0 = no hardware PMU.
 * @ret_fixed: VPMU_FIXED_*: further counters that each count one event only.
 * A counter that the kernel's own NMI watchdog holds is not among them. (Written for x86 and arm64, run on machines without a PMU.)
 */
VPMU_API void vpmu_host_counters(const struct vpmu_host *host, uint32_t *ret_general, unsigned int *ret_fixed);

/* "cycles", "cpu-clock", "events", "none": a static string. */
VPMU_API const char *vpmu_source_name(enum vpmu_source source);

VPMU_END_DECLS

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Abilities that are found by opening events. The events are opened disabled, on this thread, for an instant. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "host/ability.h"
#include "host/perf_open.h"
#include "host/pmu_size.h"
#include "util/cleanup.h"
#include "util/io.h"

/* As large as the kernel gives to each user without asking about privileges: kernel.perf_event_mlock_kb is 516. */
#define TRIAL_RING_BYTES (512 * 1024)

static struct perf_event_attr trial(uint32_t type, uint64_t config)
{
	return (struct perf_event_attr){
		.type = type, .size = sizeof(struct perf_event_attr), .config = config, .disabled = 1,
		.sample_period = 1000000007, .sample_type = PERF_SAMPLE_IP,
	};
}

/* For -EACCES and -EPERM: what stands in the way. */
static void explain_refusal(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	int level;

	if (perf_paranoid_level(host->proc_path, &level) == 0)
		ability_how(info, "run as root or with CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8); "
				  "sysctl kernel.perf_event_paranoid is %d", level);
	else
		ability_how(info, "run as root or with CAP_PERFMON; a container's seccomp filter may also refuse");
}

static bool opens_on(const struct vpmu_host *host, const struct perf_event_attr *attr, pid_t tid, int cpu,
		     struct vpmu_ability_info *info)
{
	_close_ int fd = perf_open(attr, tid, cpu);

	if (fd >= 0)
		return true;
	ability_missing(info, fd, "refused: %s", strerror(-fd));
	if (fd == -EACCES || fd == -EPERM)
		explain_refusal(host, info);
	else if (fd == -ENOSYS)
		ability_how(info, "this kernel was built without perf events");
	return false;
}

static bool opens(const struct vpmu_host *host, const struct perf_event_attr *attr, struct vpmu_ability_info *info)
{
	return opens_on(host, attr, 0, -1, info);
}

/*
 * A whole CPU is other users' threads too, and the trial disturbs none of them. Where the sysctl opens CPUs to
 * everybody (0 and below), a thread of another user still takes a capability (kernel/events/core.c:
 * perf_check_permission()).
 */
void ability_probe_perf_events(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	struct perf_event_attr attr = trial(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_DUMMY);
	int level = 0;
	bool known = perf_paranoid_level(host->proc_path, &level) == 0;

	if (!opens_on(host, &attr, -1, 0, info))
		return;
	if (!ability_capable(CAP_PERFMON) && !ability_capable(CAP_SYS_ADMIN) && !ability_capable(CAP_SYS_PTRACE)) {
		ability_missing(info, -EACCES, "whole CPUs and own threads only");
		return explain_refusal(host, info);
	}
	if (known)
		ability_ok(info, "allowed (kernel.perf_event_paranoid is %d)", level);
	else
		ability_ok(info, "allowed");
}

/*
 * With a mediated vPMU (Linux 7.0) the guests own the counters: while any hardware event that includes guests
 * is open, no guest with a vPMU can start; and while such a guest lives, no such event opens.
 */
void ability_probe_mediated_pmu(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	const char *module = NULL;
	char state = perf_mediated_pmu(host->sys_path, &module);

	if (state == 'Y') {
		ability_missing(info, -EBUSY, "mediated vPMU is on (%s): hardware events that include guests would "
					      "keep guests from starting", module);
		ability_how(info, "nothing: profiling uses cpu-clock; or load %s with enable_mediated_pmu=0", module);
	} else if (state) {
		ability_ok(info, "mediated vPMU is off (%s)", module);
	} else {
		ability_ok(info, "KVM here has no mediated vPMU");
	}
}

static void probe_cycles(const struct vpmu_host *host, bool guest, struct vpmu_ability_info *info)
{
	struct perf_event_attr attr = trial(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
	const char *module;
	bool mediated = perf_mediated_pmu(host->sys_path, &module) == 'Y';

	/* Even for an instant it could be the reason why a guest does not start. */
	if (mediated && guest) {
		ability_missing(info, -EOPNOTSUPP, "not tried: mediated vPMU is on (%s)", module);
		return;
	}
	attr.exclude_host = guest;
	attr.exclude_guest = mediated;
	if (opens(host, &attr, info)) {
		ability_ok(info, mediated ? "they count, for the host only" : "they count");
	} else if (info->code == -ENOENT || info->code == -EOPNOTSUPP) {
		ability_missing(info, info->code, "no hardware PMU that can sample%s (%s)",
				guest ? " guests" : "", strerror(-info->code));
		ability_how(info, "in a virtual machine: give it a virtual PMU; else cpu-clock takes its place");
	}
}

void ability_probe_hw_cycles(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	probe_cycles(host, false, info);
}

void ability_probe_hw_guest_cycles(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	probe_cycles(host, true, info);
}

void ability_probe_cpu_clock(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	struct perf_event_attr attr = trial(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK);

	if (opens(host, &attr, info))
		ability_ok(info, "software clock, needs no PMU");
}

VPMU_API void vpmu_host_counters(const struct vpmu_host *host, uint32_t *ret_general, unsigned int *ret_fixed)
{
	struct pmu_size size = pmu_size(perf_open_grouped);
	_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t n;

	snprintf(path, sizeof(path), "%.*s/sys/kernel/nmi_watchdog", PATH_MAX - 64, host->proc_path);
	if (io_read_file(AT_FDCWD, path, 64, &text, &n) == 0 && text[0] == '1')
		pmu_size_without_watchdog(&size);
	*ret_general = size.general;
	*ret_fixed = size.fixed;
}

/*
 * Each user has kernel.perf_event_mlock_kb for every CPU, all his rings together; what goes beyond counts against
 * RLIMIT_MEMLOCK, and CAP_IPC_LOCK lifts that.
 */
void ability_probe_memlock(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	struct perf_event_attr attr = trial(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_DUMMY);
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE) + TRIAL_RING_BYTES, n;
	_free_ char *text = NULL;
	struct rlimit limit = {};
	char path[PATH_MAX], lock[32] = "no limit";
	_close_ int fd = -1;
	void *ring;

	snprintf(path, sizeof(path), "%.*s/sys/kernel/perf_event_mlock_kb", PATH_MAX - 64, host->proc_path);
	if (io_read_file(AT_FDCWD, path, 64, &text, &n) == 0)
		text[strcspn(text, "\n")] = '\0';
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur != RLIM_INFINITY)
		snprintf(lock, sizeof(lock), "%llu KiB", (unsigned long long)limit.rlim_cur / 1024);
	attr.exclude_kernel = 1;
	fd = perf_open(&attr, 0, -1);
	if (fd < 0)
		return ability_missing(info, fd, "no event to map a ring for: %s", strerror(-fd));
	ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring != MAP_FAILED) {
		munmap(ring, bytes);
		return ability_ok(info, "%s KiB for each CPU and user, then RLIMIT_MEMLOCK: %s", text ? text : "?", lock);
	}
	ability_missing(info, -errno, "a ring of %d KiB: %s (perf_event_mlock_kb is %s, RLIMIT_MEMLOCK %s)",
			TRIAL_RING_BYTES / 1024, strerror(errno), text ? text : "unknown", lock);
	ability_how(info, "raise sysctl kernel.perf_event_mlock_kb or ulimit -l, or run with CAP_IPC_LOCK");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/ability.h"
#include "host/kernel_symbols.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

void ability_ok(struct vpmu_ability_info *info, const char *detail, ...)
{
	va_list args;

	va_start(args, detail);
	vsnprintf(info->detail, sizeof(info->detail), detail, args);
	va_end(args);
	info->ok = true;
	info->code = 0;
}

void ability_missing(struct vpmu_ability_info *info, int code, const char *detail, ...)
{
	va_list args;

	va_start(args, detail);
	vsnprintf(info->detail, sizeof(info->detail), detail, args);
	va_end(args);
	info->ok = false;
	info->code = code;
}

void ability_how(struct vpmu_ability_info *info, const char *how, ...)
{
	va_list args;

	va_start(args, how);
	vsnprintf(info->how, sizeof(info->how), how, args);
	va_end(args);
}

bool ability_capable(unsigned int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[capability / 32].effective & 1u << capability % 32);
}

static void probe_kvm(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	char path[PATH_MAX];
	_close_ int fd = -1;

	snprintf(path, sizeof(path), "%.*s/kvm", PATH_MAX - 8, host->dev_path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		int version = ioctl(fd, KVM_GET_API_VERSION, 0);

		if (version == KVM_API_VERSION)
			return ability_ok(info, "API version %d", version);
		ability_missing(info, -ENODEV, "'%s' is not KVM", path);
		return;
	}
	ability_missing(info, -errno, "'%s': %s", path, strerror(errno));
	if (info->code == -EACCES)
		ability_how(info, "join the group that owns '%s', or run as root", path);
	else
		ability_how(info, "load kvm_intel or kvm_amd, with virtualization enabled in the firmware; "
				  "guests that QEMU emulates need none");
}

static void probe_tracepoints(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	char path[PATH_MAX];
	_close_ int fd = -1;

	snprintf(path, sizeof(path), "%.*s/events", PATH_MAX - 8, host->tracefs_path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return ability_ok(info, "in %.140s", host->tracefs_path);
	ability_missing(info, -errno, "'%.120s': %s", path, strerror(errno));
	if (info->code == -ENOENT)
		ability_how(info, "mount it: mount -t tracefs none %s/kernel/tracing", host->sys_path);
	else
		ability_how(info, "run as root, or let a group read it: mount -o remount,gid=GROUP %s",
			    host->tracefs_path);
}

static void probe_kvm_entry(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t n;
	int r;

	snprintf(path, sizeof(path), "%.*s/events/kvm/kvm_entry/id", PATH_MAX - 64, host->tracefs_path);
	r = io_read_file(AT_FDCWD, path, 64, &text, &n);
	if (r == 0) {
		text[strcspn(text, "\n")] = '\0';
		return ability_ok(info, "tracepoint %s", text);
	}
	ability_missing(info, r, "'%.120s': %s", path, strerror(-r));
	if (!host->abilities[VPMU_ABILITY_TRACEPOINTS].ok)
		ability_how(info, "make tracepoints readable first");
	else if (r == -ENOENT)
		ability_how(info, "load KVM (kvm_intel or kvm_amd)");
	else
		ability_how(info, "run as root");
}

/* All addresses read as zero where they are hidden; one that is not shows that they are shown. */
static void probe_host_symbols(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	_fclose_ FILE *f = NULL;
	char path[PATH_MAX], line[512], *end = line;
	_free_ char *level = NULL;
	_close_ int fd = -1;
	size_t n;

	snprintf(path, sizeof(path), "%.*s/kallsyms", PATH_MAX - 16, host->proc_path);
	f = fopen(path, "re");
	if (!f) {
		ability_missing(info, -errno, "'%.120s': %s", path, strerror(errno));
		return;
	}
	for (int i = 0; i < 16 && fgets(line, sizeof(line), f); i++)
		if (strtoull(line, &end, 16))
			return ability_ok(info, "/proc/kallsyms shows addresses");
	snprintf(path, sizeof(path), "%.*s/sys/kernel/kptr_restrict", PATH_MAX - 32, host->proc_path);
	if (io_read_file(AT_FDCWD, path, 64, &level, &n) == 0)
		level[strcspn(level, "\n")] = '\0';
	if (streq(host->proc_path, "/proc") && kernel_symbols_open(&fd) == 0)
		return ability_ok(info, "by a BPF iterator; /proc/kallsyms shows no addresses");
	ability_missing(info, -EACCES, "/proc/kallsyms shows no addresses (kernel.kptr_restrict is %s)",
			level ? level : "unknown");
	if (level && atoi(level) >= 2)
		ability_how(info, "sysctl kernel.kptr_restrict=1, and run as root or with CAP_SYSLOG");
	else
		ability_how(info, "run as root, with CAP_SYSLOG, or with CAP_BPF and CAP_PERFMON on Linux 6.0 or later");
}

/* A kernel thread has none, and nothing to hide. */
static bool has_command_line(int proc_fd, const char *pid)
{
	_close_ int fd = -1;
	char path[64], c;

	snprintf(path, sizeof(path), "%.32s/cmdline", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, &c, 1) == 1;
}

/* A process of another user, 0 if there is none. Not process 1, which in a container is nobody's example. */
static pid_t others_process(const struct vpmu_host *host)
{
	DIR *dir = opendir(host->proc_path);
	struct dirent *entry;
	struct stat st;
	pid_t pid = 0;

	while (dir && !pid && (entry = readdir(dir)))
		if (atoi(entry->d_name) > 1 && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
		    st.st_uid != geteuid() && has_command_line(dirfd(dir), entry->d_name))
			pid = atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return pid;
}

static void probe_other_processes(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	pid_t pid = others_process(host);
	char path[PATH_MAX];
	_close_ int fd = -1;

	if (!pid && ability_capable(CAP_SYS_PTRACE))
		return ability_ok(info, "CAP_SYS_PTRACE; no process of another user is here to try on");
	if (pid) {
		snprintf(path, sizeof(path), "%.*s/%d/maps", PATH_MAX - 32, host->proc_path, pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			return ability_ok(info, "open files and mappings of all processes");
		ability_missing(info, -errno, "'%.120s': %s", path, strerror(errno));
	} else {
		ability_missing(info, -EACCES, "no CAP_SYS_PTRACE");
	}
	ability_how(info, "run as root or with CAP_SYS_PTRACE; without it other users' guests are recognised by "
			  "their thread names only");
}

static void probe_debuginfod(const struct vpmu_host *host, struct vpmu_ability_info *info)
{
	const char *urls = secure_getenv("DEBUGINFOD_URLS");
	void *library;

	(void)host;
	if (!urls || !*urls) {
		ability_missing(info, -ENOENT, "DEBUGINFOD_URLS is not set");
		ability_how(info, "set DEBUGINFOD_URLS to your distribution's debuginfod server to have missing "
				  "debug files fetched");
		return;
	}
	/* The way of libdw itself, which loads it when it first needs it. */
	library = dlopen("libdebuginfod.so.1", RTLD_LAZY | RTLD_LOCAL);
	if (!library) {
		ability_missing(info, -ELIBACC, "libdebuginfod is not installed");
		ability_how(info, "install libdebuginfod (Debian: libdebuginfod1)");
		return;
	}
	dlclose(library);
	ability_ok(info, "%s", urls);
}

/* In the order of enum vpmu_ability; a probe may look at the results of those before it. */
static const struct {
	const char *name;
	ability_probe probe;
} table[VPMU_ABILITY_COUNT] = {
	[VPMU_ABILITY_KVM] = { "KVM", probe_kvm },
	[VPMU_ABILITY_PERF_EVENTS] = { "perf events of all processes", ability_probe_perf_events },
	[VPMU_ABILITY_HW_CYCLES] = { "hardware cycles", ability_probe_hw_cycles },
	[VPMU_ABILITY_HW_GUEST_CYCLES] = { "hardware cycles, guest only", ability_probe_hw_guest_cycles },
	[VPMU_ABILITY_CPU_CLOCK] = { "cpu-clock", ability_probe_cpu_clock },
	[VPMU_ABILITY_MEDIATED_PMU] = { "PMU not handed to guests", ability_probe_mediated_pmu },
	[VPMU_ABILITY_TRACEPOINTS] = { "tracepoints", probe_tracepoints },
	[VPMU_ABILITY_KVM_ENTRY] = { "tracepoint kvm:kvm_entry", probe_kvm_entry },
	[VPMU_ABILITY_HOST_SYMBOLS] = { "host kernel symbols", probe_host_symbols },
	[VPMU_ABILITY_OTHER_PROCESSES] = { "other users' processes", probe_other_processes },
	[VPMU_ABILITY_BPF] = { "BPF programs on events", ability_probe_bpf },
	[VPMU_ABILITY_BPF_ITER] = { "BPF iterators", ability_probe_bpf_iter },
	[VPMU_ABILITY_MEMLOCK] = { "memory for rings", ability_probe_memlock },
	[VPMU_ABILITY_DEBUGINFOD] = { "debuginfod", probe_debuginfod },
};

/* Where the events are; debugfs has them too on hosts that mount no tracefs of its own. */
static void find_tracefs(struct vpmu_host *host)
{
	static const char *const places[] = { "kernel/tracing", "kernel/debug/tracing" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, sizeof(path), "%.*s/%s/events", PATH_MAX - 64, host->sys_path, places[i]);
		if (access(path, F_OK) == 0) {
			snprintf(host->tracefs_path, sizeof(host->tracefs_path), "%.*s/%s", PATH_MAX - 64,
				 host->sys_path, places[i]);
			return;
		}
	}
	snprintf(host->tracefs_path, sizeof(host->tracefs_path), "%.*s/%s", PATH_MAX - 64, host->sys_path,
		 places[0]);
}

/* Hardware cycles tell time best, the clock is nearly as good and always there. */
static void choose_source(struct vpmu_host *host)
{
	static const enum vpmu_ability for_cycles[] = { VPMU_ABILITY_MEDIATED_PMU, VPMU_ABILITY_HW_CYCLES,
							VPMU_ABILITY_HW_GUEST_CYCLES };
	const struct vpmu_ability_info *clock = &host->abilities[VPMU_ABILITY_CPU_CLOCK], *lacking = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(for_cycles) && !lacking; i++)
		if (!host->abilities[for_cycles[i]].ok)
			lacking = &host->abilities[for_cycles[i]];
	if (!lacking) {
		host->source = VPMU_SOURCE_CYCLES;
	} else if (clock->ok) {
		host->source = VPMU_SOURCE_CPU_CLOCK;
		snprintf(host->why, sizeof(host->why), "%s: %s", lacking->name, lacking->detail);
	} else {
		host->source = VPMU_SOURCE_NONE;
		snprintf(host->why, sizeof(host->why), "%s: %s", clock->name, clock->detail);
	}
}

/* A path from the options, or its default. */
static bool set_path(char path[PATH_MAX], const char *given, const char *otherwise)
{
	return snprintf(path, PATH_MAX, "%s", given ? given : otherwise) < PATH_MAX;
}

int host_new_some(const struct vpmu_host_opts *opts, uint32_t abilities, struct vpmu_host **ret_host,
		  struct vpmu_error *reterr)
{
	_free_ struct vpmu_host *host = NULL;
	struct vpmu_host_opts o;

	if (!opts_valid(opts, sizeof(o)))
		return error_set(reterr, -EINVAL, "unknown options for probing the host");
	opts_take(&o, opts);
	host = calloc(1, sizeof(*host));
	if (!host)
		return error_oom(reterr);
	if (!set_path(host->proc_path, o.proc_path, "/proc") || !set_path(host->sys_path, o.sys_path, "/sys") ||
	    !set_path(host->dev_path, o.dev_path, "/dev") || !set_path(host->tracefs_path, o.tracefs_path, ""))
		return error_set(reterr, -EINVAL, "a path for probing the host is too long");
	if (!host->tracefs_path[0])
		find_tracefs(host);
	for (size_t i = 0; i < VPMU_ABILITY_COUNT; i++) {
		host->abilities[i].name = table[i].name;
		if (abilities & 1u << i)
			table[i].probe(host, &host->abilities[i]);
	}
	choose_source(host);
	*ret_host = take_ptr(host);
	return 0;
}

VPMU_API int vpmu_host_new(const struct vpmu_host_opts *opts, struct vpmu_host **ret_host, struct vpmu_error *reterr)
{
	return host_new_some(opts, UINT32_MAX, ret_host, reterr);
}

VPMU_API struct vpmu_host *vpmu_host_free(struct vpmu_host *host)
{
	free(host);
	return NULL;
}

VPMU_API const struct vpmu_ability_info *vpmu_host_ability(const struct vpmu_host *host, enum vpmu_ability ability)
{
	return (size_t)ability < VPMU_ABILITY_COUNT ? &host->abilities[ability] : NULL;
}

VPMU_API enum vpmu_source vpmu_host_source(const struct vpmu_host *host, const char **ret_why)
{
	if (ret_why)
		*ret_why = host->why;
	return host->source;
}

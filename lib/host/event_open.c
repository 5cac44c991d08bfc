/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the errors of perf_event_open(2) mean. One errno has many causes; what can be looked at is looked at. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/event.h"
#include "host/perf_open.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* Guests are left out, so that the trial cannot be in a guest's way (mediated vPMU). */
static bool has_hardware_pmu(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_HARDWARE, .size = sizeof(attr), .disabled = 1,
					.exclude_kernel = 1, .exclude_hv = 1, .exclude_guest = 1 };
	_close_ int fd = perf_open(&attr, 0, -1);

	return fd >= 0 || (fd != -ENOENT && fd != -EOPNOTSUPP && fd != -ENODEV);
}

static int no_permission(const struct event_spec *spec, int code, const char *on_what, struct vpmu_error *reterr)
{
	int level, enough = spec->is_tracepoint ? -1 : 1;

	if (perf_paranoid_level("/proc", &level) < 0) {
		error_set(reterr, code, "event '%s' on %s: no permission", spec->name, on_what);
		error_hint(reterr, "run as root or with CAP_PERFMON");
		return code;
	}
	error_set(reterr, code, "event '%s' on %s: no permission (sysctl kernel.perf_event_paranoid is %d)", spec->name,
		  on_what, level);
	error_hint(reterr, level > enough ?
		   "run as root or with CAP_PERFMON; for own threads sysctl kernel.perf_event_paranoid=%d is enough" :
		   "run as root or with CAP_PERFMON: threads of other users take it", enough);
	return code;
}

static int not_supported(const struct event_spec *spec, int code, const char *on_what, struct vpmu_error *reterr)
{
	const char *module;

	if (!spec->is_hardware) {
		error_set(reterr, code, "event '%s' on %s: this kernel has no such event, or it cannot be sampled",
			  spec->name, on_what);
		return code;
	}
	if (code == -EOPNOTSUPP && !spec->attr.exclude_guest && perf_mediated_pmu("/sys", &module) == 'Y') {
		error_set(reterr, code, "hardware event '%s' on %s: a guest owns the PMU (mediated vPMU, %s)", spec->name,
			  on_what, module);
		error_hint(reterr, "sample with cpu-clock; or leave guests out (%s:H)", spec->name);
	} else if (!has_hardware_pmu()) {
		error_set(reterr, code, "hardware event '%s' on %s: this machine has no hardware PMU, or hides it",
			  spec->name, on_what);
		error_hint(reterr, "sample with cpu-clock, which needs none");
	} else {
		error_set(reterr, code, "hardware event '%s' on %s: this machine's PMU cannot count or sample it",
			  spec->name, on_what);
		error_hint(reterr, "try cycles, or cpu-clock");
	}
	return code;
}

static int invalid(const struct event_spec *spec, const char *on_what, struct vpmu_error *reterr)
{
	static const char path[] = "/proc/sys/kernel/perf_event_max_sample_rate";
	_free_ char *text = NULL;
	size_t n;

	if (spec->attr.freq && io_read_file(AT_FDCWD, path, 64, &text, &n) == 0 &&
	    spec->attr.sample_freq > strtoull(text, NULL, 10)) {
		text[strcspn(text, "\n")] = '\0';
		error_set(reterr, -EINVAL, "event '%s' on %s: %llu Hz is more than the kernel allows (%s)", spec->name,
			  on_what, (unsigned long long)spec->attr.sample_freq, text);
		error_hint(reterr, "a lower frequency, or sysctl kernel.perf_event_max_sample_rate=%llu",
			   (unsigned long long)spec->attr.sample_freq);
		return -EINVAL;
	}
	error_set(reterr, -EINVAL, "event '%s' on %s: the kernel does not take these settings", spec->name, on_what);
	error_hint(reterr, "some events cannot be sampled, or not with these modifiers: try cpu-clock");
	return -EINVAL;
}

int event_open_error(const struct event_spec *spec, int code, const char *on_what, struct vpmu_error *reterr)
{
	struct rlimit files = {};

	switch (-code) {
	case EACCES:
	case EPERM:
		return no_permission(spec, code, on_what, reterr);
	case ENOENT:
	case ENODEV:
	case ENXIO:
	case EOPNOTSUPP:
		return not_supported(spec, code, on_what, reterr);
	case EINVAL:
		return invalid(spec, on_what, reterr);
	case EMFILE:
		getrlimit(RLIMIT_NOFILE, &files);
		error_set(reterr, code, "event '%s' on %s: too many open files (%llu are allowed)", spec->name, on_what,
			  (unsigned long long)files.rlim_cur);
		error_hint(reterr, "raise ulimit -n: each event takes a file for each vCPU");
		return code;
	case ESRCH:
		return error_set(reterr, code, "event '%s': %s has ended", spec->name, on_what);
	case EBUSY:
		error_set(reterr, code, "event '%s' on %s: another user holds the PMU for itself", spec->name, on_what);
		error_hint(reterr, "the NMI watchdog holds a counter (sysctl kernel.nmi_watchdog=0 frees it); or try cpu-clock");
		return code;
	case E2BIG:
		return error_set(reterr, code, "event '%s' on %s: this kernel is too old for the settings", spec->name, on_what);
	case ENOSYS:
		return error_set(reterr, code, "event '%s': this kernel has no perf events, or a filter hides them", spec->name);
	default:
		return error_set(reterr, code, "event '%s' on %s: %s", spec->name, on_what, strerror(-code));
	}
}

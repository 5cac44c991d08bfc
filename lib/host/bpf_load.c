/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/bpf_load.h"
#include "host/bpf_types.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

static void btf_freep(struct btf **btf)
{
	btf__free(*btf); /* accepts NULL */
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static libbpf_print_fn_t print_of_others;
static _Thread_local unsigned int ours;

enum { FIRST_LINES = 4, LAST_LINES = 32 };

/* The verifier tells what it did from the program's start, and at the end what it does not like: of many lines these two are said. */
static void log_lines(const char *format, va_list args)
{
	_free_ char *text = NULL;
	size_t n = 1, i = 0;
	char *rest, *line;

	if (vasprintf(&text, format, args) < 0) {
		text = NULL; /* is anything after a failure */
		return;
	}
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		n++;
	rest = text;
	for (; (line = strsep(&rest, "\n")); i++) {
		if (i == FIRST_LINES && n > FIRST_LINES + LAST_LINES)
			log_debug("(%zu lines are left out)", n - FIRST_LINES - LAST_LINES);
		if (*line && (i < FIRST_LINES || i + LAST_LINES >= n))
			log_debug("%s", line);
	}
}

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	if (!ours)
		return print_of_others ? print_of_others(level, format, args) : 0;
	if (level != LIBBPF_DEBUG)
		log_lines(format, args);
	return 0;
}

static void set_print(void)
{
	print_of_others = libbpf_set_print(print);
}

void bpf_load_begin(void)
{
	pthread_once(&once, set_print);
	ours++;
}

void bpf_load_end(void)
{
	ours--;
}

int bpf_load_twice(int (*load)(void *data, const char *btf_path), void *data)
{
	char path[BPF_TYPES_PATH_ROOM];
	_close_ int fd = -1;
	int r = load(data, NULL), types;

	if (r != -EPERM)
		return r;
	types = bpf_types_open("/sys", path, sizeof(path), &fd);
	if (types < 0) {
		log_debug("ignoring the types in /sys/kernel/btf: %s", strerror(-types));
		return r;
	}
	return load(data, path);
}

int bpf_load_refused(int code, const char *what, struct vpmu_error *reterr)
{
	/* How libbpf says that there are none. */
	if (code == -ESRCH)
		error_set(reterr, code, "%sthe kernel has no type information (BTF), which the BPF program is fitted to it by", what);
	else
		error_set(reterr, code, "%sthe kernel does not take the BPF program: %s", what, strerror(-code));
	if (code == -EPERM)
		error_hint(reterr, "run as root, or with CAP_BPF and CAP_PERFMON");
	else if (code == -EACCES || code == -EINVAL || code == -E2BIG)
		error_hint(reterr, "--verbose tells what its verifier says; it takes Linux 5.17 or later");
	else
		error_hint(reterr, "it takes Linux 5.17 or later with BTF; vpmu doctor tells what is missing");
	return code;
}

static bool has_cpu_flag(const char *cpuinfo, const char *flag)
{
	const char *flags = strstr(cpuinfo, "\nflags"), *end = flags ? strchr(flags + 1, '\n') : NULL;
	size_t n = strlen(flag);

	for (const char *p = flags; end && (p = strstr(p, flag)) && p < end; p += n)
		if (p[-1] == ' ' && (p[n] == ' ' || p[n] == '\n'))
			return true;
	return false;
}

/*
 * Built into a kernel, both vendors' code is there whatever the processor: it alone tells which one
 * is at work.
 */
enum vpmu_bpf_flavour bpf_load_flavour(void)
{
	_free_ char *cpuinfo = NULL;
	size_t n;

	if (io_read_file(AT_FDCWD, "/proc/cpuinfo", 16 << 20, &cpuinfo, &n) < 0)
		return VPMU_BPF_FLAVOUR_GENERIC;
	if (has_cpu_flag(cpuinfo, "svm") && access("/sys/module/kvm_amd", F_OK) == 0)
		return VPMU_BPF_FLAVOUR_SVM;
	if (has_cpu_flag(cpuinfo, "vmx") && access("/sys/module/kvm_intel", F_OK) == 0)
		return VPMU_BPF_FLAVOUR_VMX;
	return VPMU_BPF_FLAVOUR_GENERIC;
}

/*
 * TRACE_EVENT() declares, for the verifier, the type btf_trace_NAME: a pointer to a function of
 * (void *, the arguments). The first is no argument of the tracepoint's.
 */
static int count_args(const struct btf *btf, const char *name)
{
	const struct btf_type *type;
	char typedef_name[64];
	int id;

	snprintf(typedef_name, sizeof(typedef_name), "btf_trace_%s", name);
	id = btf__find_by_name_kind(btf, typedef_name, BTF_KIND_TYPEDEF);
	if (id < 0)
		return -ENOENT;
	type = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type);
	if (!type || !btf_is_ptr(type))
		return -ENOENT;
	type = btf__type_by_id(btf, type->type);
	if (!type || !btf_is_func_proto(type) || btf_vlen(type) < 1)
		return -ENOENT;
	return btf_vlen(type) - 1;
}

int bpf_load_tracepoint_args(const char *name, const char *module)
{
	_cleanup_(btf_freep) struct btf *kernel = btf__parse("/sys/kernel/btf/vmlinux", NULL);
	_cleanup_(btf_freep) struct btf *split = NULL;
	char path[64];
	int n;

	if (!kernel)
		return -errno;
	n = count_args(kernel, name);
	if (n >= 0 || !module)
		return n;
	snprintf(path, sizeof(path), "/sys/kernel/btf/%s", module);
	split = btf__parse_split(path, kernel);
	return split ? count_args(split, name) : -ENOENT;
}

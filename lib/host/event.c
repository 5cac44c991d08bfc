/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An event is NAME[:MODIFIERS]. Names are looked for in this order, so that what perf users type means what it means
 * there: PMU/TERMS/, the kernel's generic names, raw rHEX, a tracepoint GROUP:NAME, and last libpfm4, which knows the
 * events of this machine's CPU as its manufacturer calls them (INST_RETIRED:ANY_P, skl::UOPS_ISSUED:ANY). libpfm4
 * translates the names of the CPU it runs on only.
 */
#include "host/event.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <perfmon/pfmlib_perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/event_pmu.h"
#include "host/event_table.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"
#include "util/vec.h"

#define MODIFIERS  "ukhGHIDpPSWeb" /* perf's; apply_modifiers() says which are taken */
#define CAPITALS   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz" CAPITALS "0123456789_-"
#define EVENTS_MAX 64

static bool all_of(const char *s, const char *chars)
{
	return *s && !s[strspn(s, chars)];
}

static int apply_precise(struct event_spec *spec, const char *modifiers, struct vpmu_error *reterr)
{
	unsigned int level = 0;

	for (const char *p = modifiers; (p = strchr(p, 'p')); p++)
		level++;
	if (!level)
		return 0;
	if (!spec->attr.exclude_guest) {
		error_set(reterr, -EINVAL, "'%s' would give no guest samples: precise events are off while a guest runs",
			  spec->name);
		error_hint(reterr, "leave out 'p', or add 'H' to sample the host only");
		return -EINVAL;
	}
	if (level > 3)
		return error_set(reterr, -EINVAL, "'%s': more than three 'p'", spec->name);
	spec->attr.precise_ip = level & 3;
	return 0;
}

static int apply_modifiers(struct event_spec *spec, const char *modifiers, struct vpmu_error *reterr)
{
	struct perf_event_attr *attr = &spec->attr;
	bool u = strchr(modifiers, 'u'), k = strchr(modifiers, 'k'), h = strchr(modifiers, 'h');
	bool guest = strchr(modifiers, 'G'), host = strchr(modifiers, 'H');
	size_t known = strspn(modifiers, "ukhGHIDp");

	if (modifiers[known])
		return error_set(reterr, -EINVAL, "event '%s': no modifier '%c' here (u, k, h, G, H, I, D, p are)", spec->name,
				 modifiers[known]);
	if ((guest || host) && !spec->is_hardware) {
		error_set(reterr, -EINVAL, "'%s': only hardware events can leave out the host or the guest", spec->name);
		error_hint(reterr, "take the event without G or H: each sample tells its side, and --side picks");
		return -EINVAL;
	}
	if (u || k || h) {
		attr->exclude_user = !u;
		attr->exclude_kernel = !k;
		attr->exclude_hv = !h;
	}
	attr->exclude_host = guest && !host;
	attr->exclude_guest = host && !guest;
	attr->exclude_idle = strchr(modifiers, 'I') != NULL;
	attr->pinned = strchr(modifiers, 'D') != NULL;
	return apply_precise(spec, modifiers, reterr);
}

/* The kernel's generic names, and r1a8. */
static bool find_generic(const char *name, struct event_spec *spec)
{
	uint32_t type;
	uint64_t config;

	if (event_table_find(name, &type, &config)) {
		spec->attr.type = type;
		spec->attr.config = config;
		spec->is_hardware = type != PERF_TYPE_SOFTWARE;
		spec->is_clock = type == PERF_TYPE_SOFTWARE && config <= PERF_COUNT_SW_TASK_CLOCK;
		return true;
	}
	if (name[0] != 'r' || !all_of(name + 1, "0123456789abcdefABCDEF") || strlen(name) > 17)
		return false;
	spec->attr.type = PERF_TYPE_RAW;
	spec->attr.config = strtoull(name + 1, NULL, 16);
	spec->is_hardware = true;
	return true;
}

/* GROUP:NAME[:MODIFIERS], apart. */
struct tracepoint {
	char group[64], name[128];
	const char *modifiers;
};

static bool split_tracepoint(const char *text, struct tracepoint *ret_tracepoint)
{
	size_t group = strcspn(text, ":"), name;

	if (!text[group] || group == 0 || group >= sizeof(ret_tracepoint->group))
		return false;
	name = strcspn(text + group + 1, ":");
	if (name == 0 || name >= sizeof(ret_tracepoint->name))
		return false;
	snprintf(ret_tracepoint->group, sizeof(ret_tracepoint->group), "%.*s", (int)group, text);
	snprintf(ret_tracepoint->name, sizeof(ret_tracepoint->name), "%.*s", (int)name, text + group + 1);
	ret_tracepoint->modifiers = text + group + 1 + name;
	ret_tracepoint->modifiers += *ret_tracepoint->modifiers == ':';
	return all_of(ret_tracepoint->group, NAME_CHARS) && all_of(ret_tracepoint->name, NAME_CHARS) &&
	       (!*ret_tracepoint->modifiers || all_of(ret_tracepoint->modifiers, MODIFIERS));
}

static int find_tracepoint(const char *tracefs, const struct tracepoint *tracepoint, struct event_spec *spec)
{
	_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t n;
	int r;

	snprintf(path, sizeof(path), "%.*s/events/%s/%s/id", PATH_MAX - 256, tracefs, tracepoint->group,
		 tracepoint->name);
	r = io_read_file(AT_FDCWD, path, 64, &text, &n);
	if (r < 0)
		return r;
	spec->attr.type = PERF_TYPE_TRACEPOINT;
	spec->attr.config = strtoull(text, NULL, 10);
	spec->is_tracepoint = true;
	return 0;
}

static void init_libpfm(void)
{
	pfm_initialize();
}

/* Its default is to leave guests out; only what the name itself says of user and kernel is taken over. */
static bool find_libpfm(const char *name, struct event_spec *spec)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct perf_event_attr attr = { .size = sizeof(attr) };
	pfm_perf_encode_arg_t arg = { .attr = &attr, .size = sizeof(arg) };

	pthread_once(&once, init_libpfm);
	if (pfm_get_os_event_encoding(name, PFM_PLM0 | PFM_PLM3, PFM_OS_PERF_EVENT, &arg) != PFM_SUCCESS)
		return false;
	spec->attr.type = attr.type;
	spec->attr.config = attr.config;
	spec->attr.config1 = attr.config1;
	spec->attr.config2 = attr.config2;
	spec->attr.exclude_user = attr.exclude_user;
	spec->attr.exclude_kernel = attr.exclude_kernel;
	spec->is_hardware = attr.type == PERF_TYPE_HARDWARE || attr.type == PERF_TYPE_HW_CACHE ||
			    attr.type == PERF_TYPE_RAW;
	return true;
}

/* A tracepoint was meant, it seems, and @code came of it. */
static int no_tracepoint(const char *text, const char *tracefs, const struct tracepoint *tracepoint, int code,
			 struct vpmu_error *reterr)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.*s/events", PATH_MAX - 256, tracefs);
	if (code == -EACCES || code == -EPERM) {
		error_set(reterr, -EACCES, "tracepoint '%s': '%.200s' may not be read", text, path);
		error_hint(reterr, "run as root, or let a group read it: mount -o remount,gid=GROUP %.100s", tracefs);
		return -EACCES;
	}
	if (access(path, F_OK) < 0) {
		code = errno == EACCES ? -EACCES : -ENOENT;
		error_set(reterr, code, "tracepoint '%s' cannot be looked up: '%.200s': %s", text, path, strerror(-code));
		error_hint(reterr, code == -EACCES ? "run as root" : "mount it: mount -t tracefs none %.100s", tracefs);
		return code;
	}
	snprintf(path, sizeof(path), "%.*s/events/%s", PATH_MAX - 256, tracefs, tracepoint->group);
	if (access(path, F_OK) == 0)
		error_set(reterr, -ENOENT, "this kernel has no tracepoint '%s'", text);
	else
		error_set(reterr, -ENOENT, "this kernel has no tracepoints '%s:' (a module that is not loaded may)",
			  tracepoint->group);
	error_hint(reterr, "those there are: ls %.200s/events", tracefs);
	return -ENOENT;
}

static int unknown_event(const char *name, const char *base, struct vpmu_error *reterr)
{
	char near[160];

	error_set(reterr, -EINVAL, "unknown event '%s'", name);
	event_table_near(base, near, sizeof(near));
	if (near[0])
		error_hint(reterr, "did you mean %s?", near);
	return -EINVAL;
}

/* "cpu-clock:X": what is before the colon is known, what is behind it is not. */
static bool is_wrong_modifier(const char *text, const char *colon)
{
	struct event_spec scratch = {};
	char base[sizeof(scratch.name)];

	snprintf(base, sizeof(base), "%.*s", (int)(colon - text), text);
	return find_generic(base, &scratch);
}

static int parse_name(const char *text, const char *tracefs, struct event_spec *spec, struct vpmu_error *reterr)
{
	const char *colon = strrchr(text, ':'), *modifiers = "";
	char base[sizeof(spec->name)];
	struct tracepoint tracepoint;
	bool traced;
	int r = 0;

	snprintf(base, sizeof(base), "%s", text);
	if (colon && all_of(colon + 1, MODIFIERS)) {
		modifiers = colon + 1;
		base[colon - text] = '\0';
	}
	if (find_generic(base, spec))
		return apply_modifiers(spec, modifiers, reterr);
	traced = split_tracepoint(text, &tracepoint);
	if (traced) {
		r = find_tracepoint(tracefs, &tracepoint, spec);
		if (r == 0)
			return apply_modifiers(spec, tracepoint.modifiers, reterr);
	}
	if (find_libpfm(base, spec))
		return modifiers[0] ? apply_modifiers(spec, modifiers, reterr) : 0;
	if (find_libpfm(text, spec))
		return 0;
	if (colon && !colon[1] && !is_wrong_modifier(text, colon)) {
		error_set(reterr, -EINVAL, "event '%s': nothing behind the colon", text);
		error_hint(reterr, "a tracepoint's name stands there, as in kvm:kvm_exit; those there are: ls %.200s/events",
			   tracefs);
		return -EINVAL;
	}
	if (colon && !modifiers[0] && is_wrong_modifier(text, colon)) {
		if (colon[1])
			error_set(reterr, -EINVAL, "event '%s': '%s' is no modifier", text, colon + 1);
		else
			error_set(reterr, -EINVAL, "event '%s': nothing behind the colon", text);
		error_hint(reterr, "G and H for guest and host, u and k for user and kernel mode");
		return -EINVAL;
	}
	/* "cycels:u" and "INST_RETIRED:ANY" are no tracepoints: the kernel's groups are in small letters */
	if (traced && strchr(base, ':') && !strpbrk(tracepoint.group, CAPITALS))
		return no_tracepoint(text, tracefs, &tracepoint, r, reterr);
	return unknown_event(text, base, reterr);
}

static int parse_pmu(const char *text, struct event_spec *spec, struct vpmu_error *reterr)
{
	const char *modifiers;
	int r = event_pmu_parse("/sys", text, spec, &modifiers, reterr);

	if (r < 0)
		return r;
	modifiers += *modifiers == ':';
	return apply_modifiers(spec, modifiers, reterr);
}

/* @list: where it should have been. */
static int no_name(const char *list, struct vpmu_error *reterr)
{
	error_set(reterr, -EINVAL, "an event without a name in '%.100s'", list);
	error_hint(reterr, "one comma between two events, none at the ends: cycles,kvm:kvm_exit");
	return -EINVAL;
}

int event_parse(const char *name, const char *tracefs, struct event_spec *ret_spec, struct vpmu_error *reterr)
{
	struct event_spec spec = { .attr = { .size = sizeof(spec.attr) } };
	int r;

	if (!name[0])
		return no_name(name, reterr);
	if (snprintf(spec.name, sizeof(spec.name), "%s", name) >= (int)sizeof(spec.name))
		return error_set(reterr, -EINVAL, "the event's name is too long: '%.100s…'", name);
	if (strpbrk(name, "{}"))
		return error_set(reterr, -EINVAL, "'%s': groups of events are not supported", name);
	r = strchr(name, '/') ? parse_pmu(name, &spec, reterr) : parse_name(name, tracefs, &spec, reterr);
	if (r < 0)
		return r;
	*ret_spec = spec;
	return 0;
}

size_t event_name_length(const char *list)
{
	bool inside = false;
	size_t n = 0;

	for (; list[n] && (list[n] != ',' || inside); n++)
		if (list[n] == '/')
			inside = !inside;
	return n;
}

int event_parse_list(const char *list, const char *tracefs, struct event_spec **ret_specs, size_t *ret_n,
		     struct vpmu_error *reterr)
{
	VEC(struct event_spec) specs = {};
	int r;

	for (const char *p = list;; p++) {
		size_t n = event_name_length(p);
		_free_ char *name = strndup(p, n);
		struct event_spec spec;

		r = !n ? no_name(list, reterr) : name ? event_parse(name, tracefs, &spec, reterr) : error_oom(reterr);
		if (r == 0 && specs.n == EVENTS_MAX)
			r = error_set(reterr, -EINVAL, "more than %d events", EVENTS_MAX);
		if (r == 0 && !vec_push(&specs, spec))
			r = error_oom(reterr);
		if (r < 0) {
			vec_free(&specs);
			return r;
		}
		p += n;
		if (!*p)
			break;
	}
	*ret_n = specs.n;
	*ret_specs = specs.items;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/event_pmu.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

struct pmu {
	char path[PATH_MAX];
	const char *name;
	struct event_spec *spec;
	struct vpmu_error *reterr;
};

/* A file of the PMU without its newline; NULL if it cannot be read. The caller frees it. */
static char *read_pmu_file(const struct pmu *pmu, const char *folder, const char *name)
{
	char path[PATH_MAX], *text;
	size_t n;

	/* a name with a slash or a dot in it could lead elsewhere */
	if (!name[0] || name[strspn(name, NAME_CHARS)])
		return NULL;
	if (snprintf(path, sizeof(path), "%s/%s%s", pmu->path, folder, name) >= (int)sizeof(path))
		return NULL;
	if (io_read_file(AT_FDCWD, path, 4096, &text, &n) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

bool event_pmu_is_core(const char *sys_path, const char *pmu)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.*s/bus/event_source/devices/%.64s/cpus", PATH_MAX - 128, sys_path, pmu);
	return streq(pmu, "cpu") || access(path, F_OK) == 0;
}

static uint64_t *config_word(struct perf_event_attr *attr, const char *name, size_t n)
{
	if (n == 6 && memcmp(name, "config", n) == 0)
		return (uint64_t *)&attr->config;
	if (n == 7 && memcmp(name, "config1", n) == 0)
		return (uint64_t *)&attr->config1;
	if (n == 7 && memcmp(name, "config2", n) == 0)
		return (uint64_t *)&attr->config2;
	return NULL;
}

/* Spreads @value over the bits of "config:0-7,32-35", lowest first. */
static int fill_bits(const struct pmu *pmu, const char *term, const char *format, uint64_t value)
{
	const char *colon = strchr(format, ':');
	uint64_t *word = colon ? config_word(&pmu->spec->attr, format, (size_t)(colon - format)) : NULL;

	if (!word)
		return error_set(pmu->reterr, -EINVAL, "PMU '%s': term '%s' has format '%s', which is unknown", pmu->name,
				 term, format);
	for (const char *p = colon + 1; *p; p += *p == ',') {
		char *end;
		unsigned long low = strtoul(p, &end, 10), high = low;

		if (*end == '-')
			high = strtoul(end + 1, &end, 10);
		if (end == p || low > high || high > 63 || (*end && *end != ','))
			return error_set(pmu->reterr, -EINVAL, "PMU '%s': term '%s' has format '%s', which is unknown",
					 pmu->name, term, format);
		for (unsigned long bit = low; bit <= high; bit++, value >>= 1)
			*word = (*word & ~(1ull << bit)) | (value & 1) << bit;
		p = end;
	}
	if (value)
		return error_set(pmu->reterr, -EINVAL, "PMU '%s': the value of '%s' does not fit into its bits (%s)",
				 pmu->name, term, format);
	return 0;
}

static int parse_terms(const struct pmu *pmu, char *terms, bool inside_event);

static int parse_term(const struct pmu *pmu, char *term, bool inside_event)
{
	_free_ char *format = NULL, *event = NULL;
	char *equals = strchr(term, '='), *end;
	uint64_t value = 1, *word;

	if (equals) {
		*equals = '\0';
		if (streq(term, "name")) {
			snprintf(pmu->spec->name, sizeof(pmu->spec->name), "%s", equals + 1);
			return 0;
		}
		errno = 0;
		value = strtoull(equals + 1, &end, 0);
		if (end == equals + 1 || *end || errno)
			return error_set(pmu->reterr, -EINVAL, "PMU '%s': '%s' is no value for '%s'", pmu->name,
					 equals + 1, term);
	}
	word = config_word(&pmu->spec->attr, term, strlen(term));
	if (word) {
		*word = value;
		return 0;
	}
	format = read_pmu_file(pmu, "format/", term);
	if (format)
		return fill_bits(pmu, term, format, value);
	event = inside_event || equals ? NULL : read_pmu_file(pmu, "events/", term);
	if (event)
		return parse_terms(pmu, event, true);
	error_set(pmu->reterr, -EINVAL, "PMU '%s' has no event and no term '%s'", pmu->name, term);
	error_hint(pmu->reterr, "see %s/events and %s/format", pmu->path, pmu->path);
	return -EINVAL;
}

static int parse_terms(const struct pmu *pmu, char *terms, bool inside_event)
{
	char *place = NULL;

	for (char *term = strtok_r(terms, ",", &place); term; term = strtok_r(NULL, ",", &place)) {
		int r = parse_term(pmu, term, inside_event);

		if (r < 0)
			return r;
	}
	return 0;
}

int event_pmu_parse(const char *sys_path, const char *text, struct event_spec *ret_spec, const char **ret_rest,
		    struct vpmu_error *reterr)
{
	const char *slash = strchr(text, '/'), *last = slash ? strchr(slash + 1, '/') : NULL;
	_free_ char *name = NULL, *terms = NULL, *type = NULL;
	struct event_spec spec = *ret_spec;
	struct pmu pmu = { .spec = &spec, .reterr = reterr };
	int r;

	if (!last)
		return error_set(reterr, -EINVAL, "event '%s' lacks its second slash: PMU/TERMS/", text);
	pmu.name = name = strndup(text, (size_t)(slash - text));
	terms = strndup(slash + 1, (size_t)(last - slash - 1));
	if (!name || !terms)
		return error_oom(reterr);
	snprintf(pmu.path, sizeof(pmu.path), "%.*s/bus/event_source/devices/%.64s", PATH_MAX - 128, sys_path, name);
	type = name[strspn(name, NAME_CHARS)] ? NULL : read_pmu_file(&pmu, "", "type");
	if (!type) {
		error_set(reterr, -EINVAL, "this machine has no PMU '%s' (event '%s')", name, text);
		error_hint(reterr, "see %s/bus/event_source/devices", sys_path);
		return -EINVAL;
	}
	spec.attr.type = (uint32_t)strtoul(type, NULL, 10);
	spec.is_hardware = event_pmu_is_core(sys_path, name);
	r = parse_terms(&pmu, terms, false);
	if (r < 0)
		return r;
	*ret_spec = spec;
	*ret_rest = last + 1;
	return 0;
}

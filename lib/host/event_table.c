/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "host/event_table.h"
#include "util/macro.h"

static const struct {
	const char *name;
	uint32_t type, config;
} names[] = {
#define HW(name, id) { name, PERF_TYPE_HARDWARE, PERF_COUNT_HW_##id }
#define SW(name, id) { name, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_##id }
	HW("cycles", CPU_CYCLES),
	HW("cpu-cycles", CPU_CYCLES),
	HW("instructions", INSTRUCTIONS),
	HW("cache-references", CACHE_REFERENCES),
	HW("cache-misses", CACHE_MISSES),
	HW("branches", BRANCH_INSTRUCTIONS),
	HW("branch-instructions", BRANCH_INSTRUCTIONS),
	HW("branch-misses", BRANCH_MISSES),
	HW("bus-cycles", BUS_CYCLES),
	HW("ref-cycles", REF_CPU_CYCLES),
	HW("stalled-cycles-frontend", STALLED_CYCLES_FRONTEND),
	HW("idle-cycles-frontend", STALLED_CYCLES_FRONTEND),
	HW("stalled-cycles-backend", STALLED_CYCLES_BACKEND),
	HW("idle-cycles-backend", STALLED_CYCLES_BACKEND),
	SW("cpu-clock", CPU_CLOCK),
	SW("task-clock", TASK_CLOCK),
	SW("page-faults", PAGE_FAULTS),
	SW("faults", PAGE_FAULTS),
	SW("minor-faults", PAGE_FAULTS_MIN),
	SW("major-faults", PAGE_FAULTS_MAJ),
	SW("context-switches", CONTEXT_SWITCHES),
	SW("cs", CONTEXT_SWITCHES),
	SW("cpu-migrations", CPU_MIGRATIONS),
	SW("migrations", CPU_MIGRATIONS),
	SW("alignment-faults", ALIGNMENT_FAULTS),
	SW("emulation-faults", EMULATION_FAULTS),
	SW("cgroup-switches", CGROUP_SWITCHES),
	SW("dummy", DUMMY),
	SW("bpf-output", BPF_OUTPUT),
#undef HW
#undef SW
};

/* Cache events are a cache, an operation and a result: "LLC" "-load-misses". In the order of the kernel's numbers. */
static const char *const caches[] = { "L1-dcache", "L1-icache", "LLC", "dTLB", "iTLB", "branch", "node" };
static const char *const operations[][2] = {
	{ "-loads", "-load-misses" },
	{ "-stores", "-store-misses" },
	{ "-prefetches", "-prefetch-misses" },
};

static bool find_cache(const char *name, uint64_t *ret_config)
{
	for (uint64_t cache = 0; cache < ARRAY_SIZE(caches); cache++) {
		size_t n = strlen(caches[cache]);

		if (strncasecmp(name, caches[cache], n) != 0)
			continue;
		for (uint64_t i = 0; i < ARRAY_SIZE(operations) * 2; i++)
			if (strcasecmp(name + n, operations[i / 2][i % 2]) == 0) {
				*ret_config = cache | (i / 2) << 8 | (i % 2) << 16;
				return true;
			}
	}
	return false;
}

bool event_table_find(const char *name, uint32_t *ret_type, uint64_t *ret_config)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(name, names[i].name) == 0) {
			*ret_type = names[i].type;
			*ret_config = names[i].config;
			return true;
		}
	if (!find_cache(name, ret_config))
		return false;
	*ret_type = PERF_TYPE_HW_CACHE;
	return true;
}

#define COMPARED_MAX 64

/* Levenshtein's, one row at a time. */
unsigned int event_name_distance(const char *a, const char *b)
{
	size_t n = strlen(b);
	unsigned int row[COMPARED_MAX + 1];

	if (n > COMPARED_MAX || strlen(a) > COMPARED_MAX)
		return 99;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; *a; a++, i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned int changed = diagonal + (tolower((unsigned char)*a) != tolower((unsigned char)b[j - 1]));

			diagonal = row[j];
			row[j] = MIN(changed, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

struct near {
	char names[3][40];
	unsigned int distances[3];
};

/* Keeps the three nearest, the nearest first. */
static void consider(struct near *near, const char *name, const char *candidate)
{
	unsigned int distance = event_name_distance(name, candidate);
	size_t i = ARRAY_SIZE(near->distances);

	if (distance > 1 + strlen(name) / 4)
		return;
	while (i > 0 && near->distances[i - 1] > distance) {
		i--;
		if (i + 1 < ARRAY_SIZE(near->distances)) {
			near->distances[i + 1] = near->distances[i];
			memcpy(near->names[i + 1], near->names[i], sizeof(near->names[i]));
		}
	}
	if (i == ARRAY_SIZE(near->distances))
		return;
	near->distances[i] = distance;
	snprintf(near->names[i], sizeof(near->names[i]), "%s", candidate);
}

void event_table_near(const char *name, char *text, size_t room)
{
	struct near near = { .distances = { 99, 99, 99 } };
	char cache[40];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		consider(&near, name, names[i].name);
	for (size_t c = 0; c < ARRAY_SIZE(caches); c++)
		for (size_t i = 0; i < ARRAY_SIZE(operations) * 2; i++) {
			snprintf(cache, sizeof(cache), "%s%s", caches[c], operations[i / 2][i % 2]);
			consider(&near, name, cache);
		}
	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(near.distances) && near.distances[i] < 99; i++) {
		size_t n = strlen(text);

		snprintf(text + n, room - n, "%s%s", i ? ", " : "", near.names[i]);
	}
}

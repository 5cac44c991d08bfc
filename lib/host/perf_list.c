/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <perf/core.h>
#include <perf/cpumap.h>
#include <perf/evlist.h>
#include <perf/evsel.h>
#include <perf/threadmap.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "host/perf_list.h"
#include "util/log.h"

static int print_debug(enum libperf_print_level level, const char *format, va_list args)
{
	char line[256];

	(void)level;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("libperf: %s", line);
	return 0;
}

static void init_libperf(void)
{
	libperf_init(print_debug); /* also learns the page size, without which no mapping works */
}

struct perf_evlist *perf_list_free(struct perf_evlist *list)
{
	if (!list)
		return NULL;
	perf_evlist__munmap(list);
	perf_evlist__close(list);
	perf_evlist__set_maps(list, NULL, NULL);
	perf_evlist__delete(list);
	return NULL;
}

static int set_target(struct perf_evlist *list, pid_t tid, int cpu)
{
	struct perf_thread_map *threads = perf_thread_map__new_array(1, &tid);
	struct perf_cpu_map *cpus;
	char number[16];

	if (cpu < 0) {
		cpus = perf_cpu_map__dummy_new();
	} else {
		snprintf(number, sizeof(number), "%d", cpu);
		cpus = perf_cpu_map__new(number);
	}
	if (threads && cpus)
		perf_evlist__set_maps(list, cpus, threads);
	perf_thread_map__put(threads);
	perf_cpu_map__put(cpus);
	return threads && cpus ? 0 : -ENOMEM;
}

int perf_list_new(const struct perf_event_attr *attrs, size_t n_attrs, uint64_t read_format,
		  pid_t tid, int cpu, struct perf_evlist **ret_list)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	_cleanup_(perf_list_freep) struct perf_evlist *list = NULL;
	int r;

	pthread_once(&once, init_libperf);
	list = perf_evlist__new();
	if (!list)
		return -ENOMEM;
	r = set_target(list, tid, cpu);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_attrs; i++) {
		struct perf_event_attr attr = attrs[i];
		struct perf_evsel *event;

		attr.size = sizeof(attr);
		attr.disabled = 1;
		attr.read_format = read_format;
		event = perf_evsel__new(&attr);
		if (!event)
			return -ENOMEM;
		perf_evlist__add(list, event);
	}
	*ret_list = take_ptr(list);
	return 0;
}

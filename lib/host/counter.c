/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <perf/evlist.h>
#include <perf/evsel.h>

#include "host/counter.h"
#include "host/perf_list.h"
#include "util/muldiv.h"

#define READ_FORMAT (PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING)

struct counter_group {
	struct perf_evlist *list;
};

struct counter_group *counter_group_free(struct counter_group *group)
{
	if (!group)
		return NULL;
	perf_list_free(group->list);
	free(group);
	return NULL;
}

static int open_events(struct perf_evlist *list, size_t *ret_failed)
{
	struct perf_evsel *event;
	size_t i = 0;

	perf_evlist__for_each_evsel(list, event)
	{
		int r;

		*ret_failed = i++;
		/* The others follow their leader: one call starts them all. */
		perf_evsel__attr(event)->disabled = i == 1;
		r = perf_evsel__open(event, perf_evsel__cpus(event), perf_evsel__threads(event));
		if (r < 0)
			return r;
	}
	return 0;
}

int counter_group_open(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid,
		       struct counter_group **ret_group, size_t *ret_failed)
{
	_cleanup_(counter_group_freep) struct counter_group *group = calloc(1, sizeof(*group));
	int r;

	*ret_failed = 0;
	if (!group)
		return -ENOMEM;
	r = perf_list_new(attrs, n_attrs, READ_FORMAT, tid, -1, &group->list);
	if (r < 0)
		return r;
	if (n_attrs > 1)
		perf_evlist__set_leader(group->list);
	r = open_events(group->list, ret_failed);
	if (r < 0)
		return r;
	*ret_group = take_ptr(group);
	return 0;
}

int counter_group_enable(struct counter_group *group)
{
	errno = EIO;
	return perf_evsel__enable(perf_evlist__next(group->list, NULL)) < 0 ? -errno : 0;
}

int counter_group_read(struct counter_group *group, struct counter_value *ret_values)
{
	struct perf_evsel *event;

	perf_evlist__for_each_evsel(group->list, event)
	{
		struct perf_counts_values counts;
		int r;

		errno = ENODATA; /* what a read of nothing comes back with (perf_list.h) */
		r = perf_evsel__read(event, 0, 0, &counts);
		if (r < 0)
			return r;
		*ret_values++ = (struct counter_value){ counts.val, counts.ena, counts.run };
	}
	return 0;
}

struct counter_value counter_since(const struct counter_value *now,
				   const struct counter_value *before)
{
	return (struct counter_value){
		.value = now->value - before->value,
		.enabled_ns = now->enabled_ns - before->enabled_ns,
		.running_ns = now->running_ns - before->running_ns,
	};
}

/*
 * Not by libperf's perf_counts_values__scale(): that goes through a double, and 2^53 cycles are
 * five weeks at 3 GHz.
 */
enum counter_scaling counter_scale(const struct counter_value *counted, uint64_t *ret_value)
{
	*ret_value = counted->value;
	/* A thread that did not run wanted nothing, and nothing happened to it. */
	if (counted->running_ns >= counted->enabled_ns)
		return COUNTER_WHOLE;
	if (!counted->running_ns) {
		*ret_value = 0;
		return COUNTER_NEVER;
	}
	*ret_value = mul_div(counted->value, counted->enabled_ns, counted->running_ns);
	return COUNTER_SCALED;
}

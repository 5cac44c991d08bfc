/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libperf's rings, one record at a time, turned into runs of records.
 *
 * perf_mmap__read_event() returns a pointer into the ring, or, for a record that straddles the
 * ring's end, into a buffer of libperf's. Records whose pointers follow each other therefore lie
 * in one piece of memory, and a consumer that only copies or counts can take them as one. libperf
 * publishes the read position at perf_mmap__consume(), which we call once a run.
 *
 * The libperf of Linux 6.1 cuts a record that straddles the end at sizeof(union perf_event), about 4 KiB, enough for call
 * chains of 500 frames, and leaves what an earlier one left behind it. Such a record is dropped and counted. What else is to be known about libperf: perf_list.h.
 */
#include <errno.h>
#include <perf/event.h>
#include <perf/evlist.h>
#include <perf/evsel.h>
#include <perf/mmap.h>
#include <poll.h>
#include <unistd.h>

#include "host/perf_list.h"
#include "host/ring.h"
#include "host/ring_own.h"
#include "util/macro.h"

/* A run is handed over at this size at the latest: small enough to be in the cache still. */
#define RUN_MAX_BYTES (64 * 1024)

struct ring {
	struct ring_own *own; /* not NULL: everything is in there, nothing is libperf's */
	struct perf_evlist *list;
	struct perf_mmap *map;
	size_t size_bytes, drained_bytes;
	uint64_t cut;
	bool counts_lost; /* the events have PERF_FORMAT_LOST */
};

struct ring *ring_free(struct ring *ring)
{
	if (!ring)
		return NULL;
	ring_own_free(ring->own);
	perf_list_free(ring->list);
	free(ring);
	return NULL;
}

static int open_event(struct ring *ring, struct perf_evsel *event)
{
	int r = perf_evsel__open(event, perf_evsel__cpus(event), perf_evsel__threads(event));

	/*
	 * PERF_FORMAT_LOST came with Linux 6.0 (119a784c8127, "perf/core: Add a new read format to
	 * get a number of lost samples"); older kernels refuse it.
	 */
	if (r == -EINVAL) {
		perf_evsel__attr(event)->read_format = PERF_FORMAT_ID;
		r = perf_evsel__open(event, perf_evsel__cpus(event), perf_evsel__threads(event));
		if (r == 0)
			ring->counts_lost = false;
	}
	return r;
}

static int open_events(struct ring *ring, uint64_t *ret_ids, size_t *ret_failed)
{
	struct perf_evsel *event;
	size_t i = 0;
	int r;

	ring->counts_lost = true;
	perf_evlist__for_each_evsel(ring->list, event)
	{
		struct perf_counts_values counts;

		*ret_failed = i;
		r = open_event(ring, event);
		if (r < 0)
			return r;
		r = perf_evsel__read(event, 0, 0, &counts);
		if (r < 0)
			return r;
		ret_ids[i++] = counts.id;
	}
	*ret_failed = i;
	return 0;
}

static void set_id_format(struct ring *ring, bool on)
{
	struct perf_evsel *event;

	perf_evlist__for_each_evsel(ring->list, event)
	{
		struct perf_event_attr *attr = perf_evsel__attr(event);

		if (on)
			attr->read_format |= PERF_FORMAT_ID;
		else
			attr->read_format &= ~(uint64_t)PERF_FORMAT_ID;
	}
}

static int map_ring(struct ring *ring, size_t ring_bytes)
{
	int r;

	set_id_format(ring, false);
	errno = 0;
	r = perf_evlist__mmap(ring->list, (int)(ring_bytes / (size_t)sysconf(_SC_PAGESIZE)));
	if (r < 0)
		return errno ? -errno : -ENOMEM;
	set_id_format(ring, true);
	ring->map = perf_evlist__next_mmap(ring->list, NULL, false);
	ring->size_bytes = ring_bytes;
	return ring->map ? 0 : -ENOMEM;
}

int ring_open(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid, int cpu,
	      size_t ring_bytes, struct ring **ret_ring, uint64_t *ret_ids, size_t *ret_failed)
{
	_cleanup_(ring_freep) struct ring *ring = calloc(1, sizeof(*ring));
	int r;

	*ret_failed = n_attrs;
	if (!ring)
		return -ENOMEM;
	r = perf_list_new(attrs, n_attrs, PERF_FORMAT_ID | PERF_FORMAT_LOST, tid, cpu, &ring->list);
	if (r == 0)
		r = open_events(ring, ret_ids, ret_failed);
	if (r == 0)
		r = map_ring(ring, ring_bytes);
	if (r < 0)
		return r;
	*ret_ring = take_ptr(ring);
	return 0;
}

int ring_open_chains(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid, int cpu, size_t ring_bytes,
		     struct ring **ret_ring, uint64_t *ret_ids, size_t *ret_failed)
{
	_cleanup_(ring_freep) struct ring *ring = calloc(1, sizeof(*ring));
	int r;

	*ret_failed = n_attrs;
	if (!ring)
		return -ENOMEM;
	r = ring_own_open(attrs, n_attrs, tid, cpu, ring_bytes, &ring->own, ret_ids, ret_failed);
	if (r < 0)
		return r;
	ring->size_bytes = ring_bytes;
	*ret_ring = take_ptr(ring);
	return 0;
}

int ring_attach_chains(struct ring *ring, struct guest_chains *chains, const signed char *by_nmi, size_t n)
{
	int unattached = 0;

	for (size_t i = 0; i < n; i++) {
		int r = by_nmi[i] < 0 ? 0 : ring_own_attach(ring->own, i, chains, by_nmi[i]);

		if (r < 0)
			unattached = r;
	}
	return unattached;
}

int ring_enable(struct ring *ring)
{
	struct perf_evsel *event;
	int r = 0;

	if (ring->own)
		return ring_own_switch(ring->own, true);
	perf_evlist__for_each_evsel(ring->list, event) if (r == 0) r = perf_evsel__enable(event);
	return r;
}

int ring_disable(struct ring *ring)
{
	struct perf_evsel *event;
	int r = 0;

	if (ring->own)
		return ring_own_switch(ring->own, false);
	perf_evlist__for_each_evsel(ring->list, event)
	{
		int one = perf_evsel__disable(event);

		if (r == 0)
			r = one;
	}
	return r;
}

bool ring_hung_up(struct ring *ring)
{
	if (ring->own)
		return ring_own_hung_up(ring->own);
	/*
	 * Drops the events that hung up from the list's poll set; what is left are those that
	 * live. The mapping stays: libperf keeps one reference of its own until the list is
	 * unmapped.
	 */
	if (perf_evlist__poll(ring->list, 0) <= 0)
		return false;
	return perf_evlist__filter_pollfd(ring->list, POLLERR | POLLHUP) == 0;
}

int ring_lost(struct ring *ring, uint64_t *ret_lost)
{
	struct perf_evsel *event;
	uint64_t lost = 0;

	if (ring->own)
		return ring_own_lost(ring->own, ret_lost);
	if (!ring->counts_lost)
		return -EOPNOTSUPP;
	perf_evlist__for_each_evsel(ring->list, event)
	{
		struct perf_counts_values counts;
		int r = perf_evsel__read(event, 0, 0, &counts);

		if (r < 0)
			return r;
		lost += counts.lost;
	}
	*ret_lost = lost;
	return 0;
}

/* Where libperf cuts, its buffer is a part of the mapping's description, which nothing else comes out of. */
static bool is_cut(const struct ring *ring, const union perf_event *record)
{
	return record->header.size > sizeof(*record) && (uintptr_t)record - (uintptr_t)ring->map < sizeof(*record);
}

int ring_drain(struct ring *ring, int (*fn)(const void *records, size_t n_bytes, void *data),
	       void *data)
{
	const char *run = NULL, *end = NULL;
	int r = 0;

	if (ring->own)
		return ring_own_drain(ring->own, fn, data, &ring->drained_bytes);
	ring->drained_bytes = 0;
	if (perf_mmap__read_init(ring->map) < 0)
		return 0; /* hung up, and read to the end before */
	while (r == 0 && ring->drained_bytes < ring->size_bytes) {
		const union perf_event *record = perf_mmap__read_event(ring->map);

		if (!record)
			break;
		/* Not consumed here: that would give away the record just read, too. */
		if ((const char *)record != end) {
			if (run)
				r = fn(run, (size_t)(end - run), data);
			run = end = (const char *)record;
		}
		ring->drained_bytes += record->header.size;
		if (unlikely(is_cut(ring, record))) {
			ring->cut++;
			run = end = NULL;
			continue;
		}
		end += record->header.size;
		if (r == 0 && end - run >= RUN_MAX_BYTES) {
			r = fn(run, (size_t)(end - run), data);
			perf_mmap__consume(ring->map);
			run = end = NULL;
		}
	}
	if (run && r == 0)
		r = fn(run, (size_t)(end - run), data);
	perf_mmap__consume(ring->map);
	return r;
}

uint64_t ring_cut(const struct ring *ring)
{
	return ring->cut;
}

size_t ring_drained_bytes(const struct ring *ring)
{
	return ring->drained_bytes;
}

size_t ring_size_bytes(const struct ring *ring)
{
	return ring->size_bytes;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first event's mapping is one page of control data and the ring; the others write into the same ring. The kernel moves
 * data_head, we move data_tail (linux/perf_event.h, struct perf_event_mmap_page).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/perf_open.h"
#include "host/ring_own.h"
#include "util/macro.h"

#define RECORD_MAX_BYTES 65536 /* a record's size is 16 bits */

struct ring_own_event {
	int fd, link_fd; /* -1 = none */
	uint64_t id;
};

struct ring_own {
	struct perf_event_mmap_page *control; /* NULL = not mapped */
	char *data;
	size_t data_bytes, map_bytes;
	bool counts_lost;
	char *straddler; /* a record that lies across the end, put together */
	size_t n_events;
	struct ring_own_event events[];
};

/* What the events' read_format asks for. */
struct counts {
	uint64_t value, id, lost;
};

struct ring_own *ring_own_free(struct ring_own *ring)
{
	if (!ring)
		return NULL;
	if (ring->control)
		munmap(ring->control, ring->map_bytes);
	for (size_t i = ring->n_events; i-- > 0;) {
		if (ring->events[i].link_fd >= 0)
			close(ring->events[i].link_fd);
		if (ring->events[i].fd >= 0)
			close(ring->events[i].fd);
	}
	free(ring->straddler);
	free(ring);
	return NULL;
}

static int open_event(struct ring_own *ring, struct ring_own_event *event, const struct perf_event_attr *user_attr,
		      pid_t tid, int cpu)
{
	struct perf_event_attr attr = *user_attr;
	struct counts counts = {};

	attr.size = sizeof(attr);
	attr.disabled = 1;
	attr.read_format = PERF_FORMAT_ID | PERF_FORMAT_LOST;
	event->fd = perf_open(&attr, tid, cpu);
	if (event->fd == -EINVAL) { /* before Linux 6.0, as in ring.c */
		attr.read_format = PERF_FORMAT_ID;
		event->fd = perf_open(&attr, tid, cpu);
		if (event->fd >= 0)
			ring->counts_lost = false;
	}
	if (event->fd < 0)
		return event->fd;
	if (read(event->fd, &counts, sizeof(counts)) < 0)
		return -errno;
	event->id = counts.id;
	return 0;
}

static int map(struct ring_own *ring, size_t ring_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *base = mmap(NULL, page + ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->events[0].fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	ring->control = base;
	ring->data = (char *)base + page;
	ring->data_bytes = ring_bytes;
	ring->map_bytes = page + ring_bytes;
	for (size_t i = 1; i < ring->n_events; i++)
		if (ioctl(ring->events[i].fd, PERF_EVENT_IOC_SET_OUTPUT, ring->events[0].fd) < 0)
			return -errno;
	return 0;
}

int ring_own_open(const struct perf_event_attr *attrs, size_t n_attrs, pid_t tid, int cpu, size_t ring_bytes,
		  struct ring_own **ret_ring, uint64_t *ret_ids, size_t *ret_failed)
{
	_cleanup_(ring_own_freep) struct ring_own *ring = calloc(1, sizeof(*ring) + n_attrs * sizeof(ring->events[0]));
	int r = 0;

	*ret_failed = n_attrs;
	if (!ring)
		return -ENOMEM;
	ring->n_events = n_attrs;
	ring->counts_lost = true;
	for (size_t i = 0; i < n_attrs; i++)
		ring->events[i].fd = ring->events[i].link_fd = -1;
	ring->straddler = malloc(RECORD_MAX_BYTES);
	if (!ring->straddler)
		return -ENOMEM;
	for (size_t i = 0; i < n_attrs; i++) {
		*ret_failed = i;
		r = open_event(ring, &ring->events[i], &attrs[i], tid, cpu);
		if (r < 0)
			return r;
		ret_ids[i] = ring->events[i].id;
	}
	*ret_failed = n_attrs;
	r = map(ring, ring_bytes);
	if (r < 0)
		return r;
	*ret_ring = take_ptr(ring);
	return 0;
}

int ring_own_attach(struct ring_own *ring, size_t i, struct guest_chains *chains, bool by_nmi)
{
	struct ring_own_event *event = &ring->events[i];

	event->link_fd = guest_chains_attach(chains, event->fd, event->id, by_nmi);
	return MIN(event->link_fd, 0);
}

int ring_own_switch(struct ring_own *ring, bool on)
{
	int r = 0;

	for (size_t i = 0; i < ring->n_events; i++)
		if (ioctl(ring->events[i].fd, on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0) < 0 && r == 0)
			r = -errno;
	return r;
}

bool ring_own_hung_up(const struct ring_own *ring)
{
	for (size_t i = 0; i < ring->n_events; i++) {
		struct pollfd fd = { .fd = ring->events[i].fd };

		if (poll(&fd, 1, 0) < 0 || !(fd.revents & (POLLERR | POLLHUP)))
			return false;
	}
	return true;
}

int ring_own_lost(const struct ring_own *ring, uint64_t *ret_lost)
{
	uint64_t lost = 0;

	if (!ring->counts_lost)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < ring->n_events; i++) {
		struct counts counts = {};

		if (read(ring->events[i].fd, &counts, sizeof(counts)) < 0)
			return -errno;
		lost += counts.lost;
	}
	*ret_lost = lost;
	return 0;
}

static struct perf_event_header header_at(const struct ring_own *ring, uint64_t at)
{
	struct perf_event_header header;

	/* Records are multiples of 8 bytes, so a header is never cut. */
	memcpy(&header, ring->data + (at & (ring->data_bytes - 1)), sizeof(header));
	return header;
}

/* Bytes of whole records from @tail on that lie in one piece. */
static size_t run_bytes(const struct ring_own *ring, uint64_t tail, uint64_t head)
{
	uint64_t piece_end = MIN(head, (tail & ~(uint64_t)(ring->data_bytes - 1)) + ring->data_bytes), at = tail;

	while (at < piece_end) {
		uint16_t size = header_at(ring, at).size;

		if (size < sizeof(struct perf_event_header) || at + size > piece_end)
			break;
		at += size;
	}
	return at - tail;
}

static const char *put_together(const struct ring_own *ring, uint64_t tail, size_t n_bytes)
{
	size_t at = tail & (ring->data_bytes - 1), first = MIN(ring->data_bytes - at, n_bytes);

	memcpy(ring->straddler, ring->data + at, first);
	memcpy(ring->straddler + first, ring->data, n_bytes - first);
	return ring->straddler;
}

int ring_own_drain(struct ring_own *ring, int (*fn)(const void *records, size_t n_bytes, void *data), void *data,
		   size_t *ret_bytes)
{
	uint64_t head = __atomic_load_n(&ring->control->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->control->data_tail, start = tail;
	int r = 0;

	while (tail < head && r == 0) {
		size_t n = run_bytes(ring, tail, head);
		const char *run = ring->data + (tail & (ring->data_bytes - 1));

		if (n == 0) {
			n = header_at(ring, tail).size;
			if (n < sizeof(struct perf_event_header) || n > head - tail)
				return -EBADMSG; /* not what the kernel writes */
			run = put_together(ring, tail, n);
		}
		r = fn(run, n, data);
		tail += n;
		__atomic_store_n(&ring->control->data_tail, tail, __ATOMIC_RELEASE);
	}
	*ret_bytes = tail - start;
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gauge.h"
#include "util/cleanup.h"

/*
 * vpmu_counters keeps every thread that ended, and readings since the last one need none of them. Whoever plugs vCPUs in
 * and out all day shall not fill our memory: after so many the guest's counters are opened afresh.
 */
#define ENDED_MAX 256

struct counters_gauge {
	struct gauge gauge;
	char *events; /* NULL = the usual ones */
	const char *proc_path;
};

static void open_guest(struct counters_gauge *gauge, struct gauge_guest *guest)
{
	VPMU_OPTS(vpmu_counters_opts, opts, .events = gauge->events);
	struct vpmu_counters *counters = NULL;
	int r;

	opts.guests = (struct vpmu_guests_opts){ .sz = sizeof(opts.guests), .proc_path = gauge->proc_path };
	guest->n_ended = 0;
	r = vpmu_counters_new(&opts, &counters, &guest->error);
	if (r >= 0)
		r = vpmu_counters_add_guest(counters, &guest->info, &guest->error);
	if (r >= 0)
		r = vpmu_counters_start(counters, &guest->error);
	if (r < 0) {
		vpmu_counters_free(counters);
		return;
	}
	guest->error.code = 0;
	guest->counters = counters;
	guest->is_open = true;
}

static void close_guest(struct gauge *gauge, struct gauge_guest *guest)
{
	(void)gauge;
	guest->counters = vpmu_counters_free(guest->counters);
	guest->is_open = false;
}

static void read_guest(struct gauge *gauge, struct gauge_guest *guest, reading_fn fn, void *data)
{
	struct reading reading = { .domain = guest->domain, .name = guest->info.name, .last = guest->last };

	if (vpmu_counters_read(guest->counters, VPMU_SINCE_LAST, &reading.counts, &guest->error) < 0)
		return;
	fn(&reading, data);
	for (size_t i = 0; i < reading.counts.n; i++)
		guest->n_ended += reading.counts.items[i].ended;
	if (guest->n_ended > ENDED_MAX)
		close_guest(gauge, guest);
}

static void look(struct gauge *opaque, struct gauge_guest *const *guests, size_t n)
{
	struct counters_gauge *gauge = (struct counters_gauge *)opaque;

	for (size_t i = 0; i < n; i++) {
		if (guests[i]->is_open)
			(void)vpmu_counters_refresh(guests[i]->counters, NULL);
		else if (!guests[i]->last)
			open_guest(gauge, guests[i]);
	}
}

static void read_guests(struct gauge *opaque, struct gauge_guest *const *guests, size_t n, reading_fn fn, void *data)
{
	struct counters_gauge *gauge = (struct counters_gauge *)opaque;

	for (size_t i = 0; i < n; i++) {
		if (guests[i]->is_open)
			read_guest(opaque, guests[i], fn, data);
		else if (!guests[i]->last)
			open_guest(gauge, guests[i]);
	}
}

static void gauge_free(struct gauge *opaque)
{
	struct counters_gauge *gauge = (struct counters_gauge *)opaque;

	free(gauge->events);
	free(gauge);
}

int gauge_counters_new(const char *events, const char *proc_path, struct gauge **ret_gauge)
{
	struct counters_gauge *gauge = calloc(1, sizeof(*gauge));

	if (!gauge)
		return -ENOMEM;
	gauge->gauge = (struct gauge){ look, read_guests, close_guest, gauge_free };
	gauge->proc_path = proc_path;
	gauge->events = events ? strdup(events) : NULL;
	if (events && !gauge->events) {
		free(gauge);
		return -ENOMEM;
	}
	*ret_gauge = &gauge->gauge;
	return 0;
}

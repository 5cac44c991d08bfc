/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
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
	struct count_grants used; /* copies; the job's */
	pthread_mutex_t lock;
	struct count_grants coming; /* the loop's, for the next reading */
	bool has_coming;
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
		count_grants_withhold(&gauge->used, counters);
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
	struct reading reading = {
		.domain = guest->domain, .name = guest->info.name, .last = guest->last,
		.grants = &((struct counters_gauge *)gauge)->used,
	};

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

/* Whether there are others. */
static bool take_grants(struct counters_gauge *gauge)
{
	bool taken;

	pthread_mutex_lock(&gauge->lock);
	taken = gauge->has_coming;
	if (taken) {
		count_grants_give_back(&gauge->used);
		gauge->used = gauge->coming;
		gauge->coming = (struct count_grants){};
		gauge->has_coming = false;
	}
	pthread_mutex_unlock(&gauge->lock);
	return taken;
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
	if (!take_grants(gauge))
		return;
	for (size_t i = 0; i < n; i++) {
		close_guest(opaque, guests[i]);
		if (!guests[i]->last)
			open_guest(gauge, guests[i]);
	}
}

static void gauge_free(struct gauge *opaque)
{
	struct counters_gauge *gauge = (struct counters_gauge *)opaque;

	count_grants_give_back(&gauge->used);
	count_grants_give_back(&gauge->coming);
	pthread_mutex_destroy(&gauge->lock);
	free(gauge->events);
	free(gauge);
}

void gauge_counters_regrant(struct gauge *opaque, const struct count_grants *grants)
{
	struct counters_gauge *gauge = (struct counters_gauge *)opaque;

	pthread_mutex_lock(&gauge->lock);
	gauge->has_coming = count_grants_copy(grants, &gauge->coming) == 0 || gauge->has_coming;
	pthread_mutex_unlock(&gauge->lock);
}

int gauge_counters_new(const char *events, const char *proc_path, const struct count_grants *grants,
		       struct gauge **ret_gauge)
{
	struct counters_gauge *gauge = calloc(1, sizeof(*gauge));

	if (!gauge)
		return -ENOMEM;
	gauge->gauge = (struct gauge){ look, read_guests, close_guest, gauge_free };
	gauge->proc_path = proc_path;
	pthread_mutex_init(&gauge->lock, NULL);
	gauge->events = events ? strdup(events) : NULL;
	if ((events && !gauge->events) || (grants && count_grants_copy(grants, &gauge->used) < 0)) {
		gauge_free(&gauge->gauge);
		return -ENOMEM;
	}
	*ret_gauge = &gauge->gauge;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <vpmu/sample.h>

#include "counting.h"
#include "readings.h"
#include "util/error.h"
#include "util/macro.h"

/*
 * Cheap enough to be always there. Hardware events are those that every PMU counts with a fixed counter or nearly so; where
 * there is no PMU they have no value, and no series.
 */
#define EVENTS "cycles,instructions,page-faults,cpu-migrations,kvm:exits"
#define HARDWARE                                                                                                          \
	(1u << VCPU_GUEST_CYCLES | 1u << VCPU_HOST_CYCLES | 1u << VCPU_GUEST_INSTRUCTIONS | 1u << VCPU_HOST_INSTRUCTIONS)
#define FRESH_NS 1000000000ull

static const struct {
	const char *event;
	unsigned int sides;
	enum vcpu_event slot;
} event_rows[] = {
	{ "voluntary-switches", VPMU_SIDES_ALL, VCPU_VOLUNTARY_SWITCHES },
	{ "involuntary-switches", VPMU_SIDES_ALL, VCPU_INVOLUNTARY_SWITCHES },
	{ "page-faults", VPMU_SIDES_ALL, VCPU_PAGE_FAULTS },
	{ "cpu-migrations", VPMU_SIDES_ALL, VCPU_MIGRATIONS },
	{ "kvm:exits", 0, VCPU_EXITS },
	{ "cycles", VPMU_SIDES_GUEST, VCPU_GUEST_CYCLES },
	{ "cycles", VPMU_SIDES_HOST, VCPU_HOST_CYCLES },
	{ "instructions", VPMU_SIDES_GUEST, VCPU_GUEST_INSTRUCTIONS },
	{ "instructions", VPMU_SIDES_HOST, VCPU_HOST_INSTRUCTIONS },
};

static const struct {
	const char *event;
	enum vcpu_time_kind slot;
} time_rows[] = {
	{ "guest-time", VCPU_GUEST }, { "user-time", VCPU_USER },   { "system-time", VCPU_SYSTEM },
	{ "wait-time", VCPU_WAIT },   { "sleep-time", VCPU_SLEEP },
};

struct waiter {
	void (*fn)(bool cancelled, void *data);
	void *data;
};

struct counting {
	struct counting_opts opts;
	struct count_grants grants;
	struct gauge *gauge; /* the readings' */
	struct readings *readings;
	sd_event_source *timer;
	uint64_t read_ns;
	bool due; /* the reading that is under way is one of the interval's */
	VEC(struct guest_totals) guests;
	VEC(struct waiter) waiters;
	VEC(struct guest_totals) news; /* the job's: what it read */
};

/* ---- sums ---- */

/* The place of vCPU @index, made if there is none; NULL if there may be no more, or no memory (*ret_error). */
static struct vcpu_totals *find_vcpu(struct guest_totals *totals, uint32_t index, int *ret_error)
{
	size_t at = 0;

	*ret_error = 0;
	while (at < totals->vcpus.n && totals->vcpus.items[at].index < index)
		at++;
	if (at < totals->vcpus.n && totals->vcpus.items[at].index == index)
		return &totals->vcpus.items[at];
	if (totals->vcpus.n >= COUNTING_VCPUS_MAX)
		return NULL;
	if (!vec_reserve(&totals->vcpus, 1)) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	memmove(&totals->vcpus.items[at + 1], &totals->vcpus.items[at],
		(totals->vcpus.n - at) * sizeof(*totals->vcpus.items));
	totals->vcpus.n++;
	totals->vcpus.items[at] = (struct vcpu_totals){ .index = index };
	return &totals->vcpus.items[at];
}

static void add_row(struct vcpu_totals *vcpu, const struct vpmu_count *row)
{
	if (row->status >= VPMU_COUNT_NOT_COUNTED)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(time_rows); i++)
		if (row->is_account && streq(row->event, time_rows[i].event)) {
			vcpu->has_times |= 1u << time_rows[i].slot;
			vcpu->times_ns[time_rows[i].slot] += row->value;
			return;
		}
	for (size_t i = 0; i < ARRAY_SIZE(event_rows); i++)
		if (streq(row->event, event_rows[i].event) &&
		    (!event_rows[i].sides || row->sides == event_rows[i].sides)) {
			vcpu->has_events |= 1u << event_rows[i].slot;
			vcpu->events[event_rows[i].slot] += row->value;
			return;
		}
}

int guest_totals_add(struct guest_totals *totals, const struct vpmu_counts *counts)
{
	size_t n_left_out = 0;

	for (size_t i = 0; i < counts->n; i++) {
		const struct vpmu_count *row = &counts->items[i];
		struct vcpu_totals *vcpu;
		int r;

		vcpu = find_vcpu(totals, row->vcpu, &r);
		if (r < 0)
			return r;
		if (vcpu)
			add_row(vcpu, row);
		else if (i == 0 || counts->items[i - 1].tid != row->tid)
			n_left_out++;
	}
	totals->n_left_out = n_left_out;
	return 0;
}

/* Those of a reading, added to what was. */
static int merge(struct guest_totals *totals, const struct guest_totals *news)
{
	vec_for_each (from, &news->vcpus) {
		struct vcpu_totals *to;
		int r;

		to = find_vcpu(totals, from->index, &r);
		if (r < 0)
			return r;
		if (!to)
			continue;
		to->has_times |= from->has_times;
		/* A counter may be somebody else's meanwhile: a sum that stands still would be a lie. */
		to->has_events = (to->has_events & ~HARDWARE) | from->has_events;
		for (int k = 0; k < VCPU_TIME_COUNT; k++)
			to->times_ns[k] += from->times_ns[k];
		for (int k = 0; k < VCPU_EVENT_COUNT; k++)
			to->events[k] += from->events[k];
	}
	totals->n_left_out = news->n_left_out;
	return 0;
}

static struct guest_totals *find_guest(const struct counting *counting, uint64_t domain)
{
	vec_for_each (guest, &counting->guests)
		if (guest->domain == domain)
			return guest;
	return NULL;
}

/* ---- readings ---- */

static void on_reading(const struct reading *reading, void *data)
{
	struct counting *counting = data;
	struct guest_totals news = { .domain = reading->domain };

	if (reading->last)
		return; /* its sums went with it */
	if (guest_totals_add(&news, &reading->counts) < 0 || !vec_push(&counting->news, news))
		vec_free(&news.vcpus);
}

static void answer(struct counting *counting, bool cancelled)
{
	/* Whoever is called may ask again. */
	__typeof__(counting->waiters) waiters = counting->waiters;

	counting->waiters = (__typeof__(counting->waiters)){};
	vec_for_each (waiter, &waiters)
		waiter->fn(cancelled, waiter->data);
	vec_free(&waiters);
}

static void on_done(uint64_t start_ns, uint64_t end_ns, void *data)
{
	struct counting *counting = data;
	bool due = counting->due;

	(void)start_ns;
	vec_for_each (news, &counting->news) {
		struct guest_totals *guest = find_guest(counting, news->domain);
		const struct domain *domain = domains_by_id(counting->opts.domains, news->domain);

		if (guest)
			(void)merge(guest, news);
		else if (domain && domain->running && vec_push(&counting->guests, *news))
			continue; /* its vCPUs went with it */
		vec_free(&news->vcpus);
	}
	counting->news.n = 0;
	counting->read_ns = end_ns;
	counting->due = false;
	answer(counting, false);
	if (due && counting->opts.fn)
		counting->opts.fn(counting->opts.data);
}

static void on_gone(uint64_t domain, void *data)
{
	struct counting *counting = data;
	struct guest_totals *guest = find_guest(counting, domain);

	if (!guest)
		return;
	vec_free(&guest->vcpus);
	*guest = counting->guests.items[--counting->guests.n];
}

static void release(void *data)
{
	struct counting *counting = data;

	vec_for_each (guest, &counting->guests)
		vec_free(&guest->vcpus);
	vec_for_each (news, &counting->news)
		vec_free(&news->vcpus);
	vec_free(&counting->guests);
	vec_free(&counting->news);
	vec_free(&counting->waiters);
	free(counting);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int on_interval(sd_event_source *source, uint64_t usec, void *data)
{
	struct counting *counting = data;

	counting->due = true;
	/* The pool is full: there will be another interval. */
	(void)readings_read(counting->readings);
	(void)sd_event_source_set_time(source, usec + counting->opts.interval_ns / 1000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- life ---- */

int counting_new(const struct counting_opts *opts, struct counting **ret_counting, struct vpmu_error *reterr)
{
	struct counting *counting = calloc(1, sizeof(*counting));
	const char *events = opts->events ? opts->events : EVENTS;
	struct readings_opts readings_opts = {
		.jobs = opts->jobs,
		.domains = opts->domains,
		.read = on_reading,
		.done = on_done,
		.gone = on_gone,
		.release = release,
		.data = counting,
	};
	int r;

	if (!counting)
		return error_oom(reterr);
	counting->opts = *opts;
	r = count_grants_ask(opts->arbiter, events, ARBITER_PRIORITY_METRICS, &counting->grants);
	if (r >= 0)
		r = gauge_counters_new(events, opts->proc_path, &counting->grants, &readings_opts.gauge);
	counting->gauge = readings_opts.gauge;
	if (r >= 0)
		r = readings_new(&readings_opts, &counting->readings);
	if (r < 0) {
		count_grants_give_back(&counting->grants);
		free(counting);
		return error_errno(reterr, r, "count on", "guests");
	}
	/* The first one soon: whoever starts us wants to see something. */
	r = sd_event_add_time_relative(opts->loop, &counting->timer, CLOCK_MONOTONIC,
				       MIN(opts->interval_ns / 1000, 1000000), 0, on_interval, counting);
	if (r < 0) {
		counting_free(counting);
		return error_errno(reterr, r, "add", "a timer");
	}
	*ret_counting = counting;
	return 0;
}

struct counting *counting_free(struct counting *counting)
{
	if (!counting)
		return NULL;
	counting->timer = sd_event_source_disable_unref(counting->timer);
	answer(counting, true);
	count_grants_give_back(&counting->grants);
	readings_free(counting->readings);
	return NULL;
}

void counting_set_interval(struct counting *counting, uint64_t interval_ns)
{
	counting->opts.interval_ns = interval_ns;
	(void)sd_event_source_set_time_relative(counting->timer, interval_ns / 1000);
}

const struct guest_totals *counting_guest(const struct counting *counting, uint64_t domain)
{
	return find_guest(counting, domain);
}

int counting_ask(struct counting *counting, void (*fn)(bool cancelled, void *data), void *data)
{
	int r;

	if (counting->read_ns && now_ns() - counting->read_ns < FRESH_NS) {
		fn(false, data);
		return 0;
	}
	if (!vec_push(&counting->waiters, (struct waiter){ fn, data }))
		return -ENOMEM;
	r = readings_read(counting->readings);
	if (r < 0)
		counting->waiters.n--;
	return r;
}

void counting_grant_changed(struct counting *counting, uint64_t request, size_t event, const struct grant *grant)
{
	if (!counting || !count_grants_changed(&counting->grants, request, event, grant))
		return;
	gauge_counters_regrant(counting->gauge, &counting->grants);
	(void)readings_read_again(counting->readings); /* if the pool is full, with the next interval's */
}

void counting_error(const struct counting *counting, struct vpmu_error *ret_error)
{
	readings_error(counting->readings, ret_error);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exits and clocks: one account for all guests of a set. It is opened with the first guest, and afresh when it is full (there
 * is room for twice the vCPUs that there were), or when so many guests came and went that what is kept of each adds up; a
 * moment is missing then.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "gauge.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"

#define GUESTS_MAX 1024
#define RETRY_NS   60000000000ull /* a kernel that does not take our programs is asked again after that */

struct account_gauge;

struct account_kind {
	int (*open)(struct account_gauge *gauge, struct vpmu_error *reterr);
	int (*add)(struct account_gauge *gauge, const struct vpmu_guest_info *guest, struct vpmu_error *reterr);
	int (*start)(struct account_gauge *gauge, struct vpmu_error *reterr);
	int (*refresh)(struct account_gauge *gauge);
	int (*read)(struct account_gauge *gauge, struct vpmu_error *reterr);
	/* That part of what was read that is of guest number @index. */
	void (*slice)(const struct account_gauge *gauge, uint32_t index, struct reading *reading);
	void (*forget)(struct account_gauge *gauge); /* threads that ended */
	const struct vpmu_guest_info *(*guest)(const struct account_gauge *gauge, size_t i);
	void (*close)(struct account_gauge *gauge);
};

struct account_gauge {
	struct gauge gauge;
	const struct account_kind *kind;
	const char *proc_path;
	unsigned int keys;
	/* one of the two */
	struct vpmu_exits *exits;
	struct vpmu_clock *clock;
	struct vpmu_exit_rows rows;
	struct vpmu_clock_times times;
	bool started, full;
	struct vpmu_error refused; /* it could not be started, … */
	uint64_t refused_ns;	   /* … when */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- exits ---- */

static int exits_open(struct account_gauge *gauge, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_exits_opts, opts, .keys = gauge->keys);

	opts.guests = (struct vpmu_guests_opts){ .sz = sizeof(opts.guests), .proc_path = gauge->proc_path };
	/* The pool's threads are few. */
	opts.symbolizer = (struct vpmu_symbolizer_opts){ .sz = sizeof(opts.symbolizer), .in_background = true };
	return vpmu_exits_new(&opts, &gauge->exits, reterr);
}

static int exits_add(struct account_gauge *gauge, const struct vpmu_guest_info *guest, struct vpmu_error *reterr)
{
	return vpmu_exits_add_guest(gauge->exits, guest, reterr);
}

static int exits_start(struct account_gauge *gauge, struct vpmu_error *reterr)
{
	return vpmu_exits_start(gauge->exits, reterr);
}

static int exits_refresh(struct account_gauge *gauge)
{
	return vpmu_exits_refresh(gauge->exits, NULL);
}

static int exits_read(struct account_gauge *gauge, struct vpmu_error *reterr)
{
	return vpmu_exits_read(gauge->exits, VPMU_SINCE_LAST, &gauge->rows, reterr);
}

static void exits_slice(const struct account_gauge *gauge, uint32_t index, struct reading *reading)
{
	size_t first = 0, end;

	while (first < gauge->rows.n && gauge->rows.items[first].guest < index)
		first++;
	for (end = first; end < gauge->rows.n && gauge->rows.items[end].guest == index;)
		end++;
	reading->exits = gauge->exits;
	reading->rows = gauge->rows;
	reading->rows.items = gauge->rows.items + first;
	reading->rows.n = end - first;
}

static void exits_forget(struct account_gauge *gauge)
{
	(void)vpmu_exits_forget_ended(gauge->exits); /* without memory, the next time */
}

static const struct vpmu_guest_info *exits_guest(const struct account_gauge *gauge, size_t i)
{
	return vpmu_exits_guest(gauge->exits, i);
}

static void exits_close(struct account_gauge *gauge)
{
	gauge->exits = vpmu_exits_free(gauge->exits);
}

static const struct account_kind exits_kind = {
	exits_open,  exits_add,	   exits_start, exits_refresh, exits_read,
	exits_slice, exits_forget, exits_guest, exits_close,
};

/* ---- clocks ---- */

static int clock_open(struct account_gauge *gauge, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_clock_opts, opts);

	opts.guests = (struct vpmu_guests_opts){ .sz = sizeof(opts.guests), .proc_path = gauge->proc_path };
	return vpmu_clock_new(&opts, &gauge->clock, reterr);
}

static int clock_add(struct account_gauge *gauge, const struct vpmu_guest_info *guest, struct vpmu_error *reterr)
{
	return vpmu_clock_add_guest(gauge->clock, guest, reterr);
}

static int clock_start(struct account_gauge *gauge, struct vpmu_error *reterr)
{
	return vpmu_clock_start(gauge->clock, reterr);
}

static int clock_refresh(struct account_gauge *gauge)
{
	return vpmu_clock_refresh(gauge->clock, NULL);
}

static int clock_read(struct account_gauge *gauge, struct vpmu_error *reterr)
{
	return vpmu_clock_read(gauge->clock, VPMU_SINCE_LAST, &gauge->times, reterr);
}

static void clock_slice(const struct account_gauge *gauge, uint32_t index, struct reading *reading)
{
	size_t first = 0, end;

	while (first < gauge->times.n && gauge->times.items[first].guest < index)
		first++;
	for (end = first; end < gauge->times.n && gauge->times.items[end].guest == index;)
		end++;
	reading->times = gauge->times;
	reading->times.items = gauge->times.items + first;
	reading->times.n = end - first;
}

static void clock_forget(struct account_gauge *gauge)
{
	vpmu_clock_forget_ended(gauge->clock);
}

static const struct vpmu_guest_info *clock_guest(const struct account_gauge *gauge, size_t i)
{
	return vpmu_clock_guest(gauge->clock, i);
}

static void clock_close(struct account_gauge *gauge)
{
	gauge->clock = vpmu_clock_free(gauge->clock);
}

static const struct account_kind clock_kind = {
	clock_open,  clock_add,	   clock_start, clock_refresh, clock_read,
	clock_slice, clock_forget, clock_guest, clock_close,
};

/* ---- opening ---- */

static bool is_open(const struct account_gauge *gauge)
{
	return gauge->exits || gauge->clock;
}

static void shut(struct account_gauge *gauge, struct gauge_guest *const *guests, size_t n)
{
	gauge->kind->close(gauge);
	gauge->started = gauge->full = false;
	for (size_t i = 0; i < n; i++)
		guests[i]->is_open = false;
}

/* Which number it has; UINT32_MAX = none. */
static uint32_t index_of(const struct account_gauge *gauge, const struct vpmu_guest_info *wanted)
{
	const struct vpmu_guest_info *guest;

	for (uint32_t i = 0; (guest = gauge->kind->guest(gauge, i)); i++)
		if (guest->pid == wanted->pid && guest->start_ticks == wanted->start_ticks)
			return i;
	return UINT32_MAX;
}

static void add_guest(struct account_gauge *gauge, struct gauge_guest *guest)
{
	int r = gauge->kind->add(gauge, &guest->info, &guest->error);

	if (r == -E2BIG)
		gauge->full = true; /* some of its vCPUs are in it */
	else if (r < 0)
		return;
	guest->error.code = 0;
	guest->index = index_of(gauge, &guest->info);
	guest->is_open = guest->index != UINT32_MAX;
}

/* None of the guests can be had, nor those that join before it is tried again. */
static void tell_refusal(const struct account_gauge *gauge, struct gauge_guest *const *guests, size_t n)
{
	for (size_t i = 0; i < n; i++)
		guests[i]->error = gauge->refused;
}

static void refuse(struct account_gauge *gauge, struct gauge_guest *const *guests, size_t n)
{
	gauge->refused_ns = now_ns();
	shut(gauge, guests, n);
	tell_refusal(gauge, guests, n);
}

static void open_guests(struct account_gauge *gauge, struct gauge_guest *const *guests, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= !guests[i]->is_open && !guests[i]->last;
	if (!any)
		return;
	if (gauge->refused.code && now_ns() - gauge->refused_ns < RETRY_NS) {
		tell_refusal(gauge, guests, n);
		return;
	}
	gauge->refused.code = 0;
	if (!is_open(gauge) && gauge->kind->open(gauge, &gauge->refused) < 0) {
		refuse(gauge, guests, n);
		return;
	}
	any = false;
	for (size_t i = 0; i < n; i++) {
		if (!guests[i]->is_open && !guests[i]->last)
			add_guest(gauge, guests[i]);
		any |= guests[i]->is_open;
	}
	if (gauge->started || !any)
		return;
	if (gauge->kind->start(gauge, &gauge->refused) < 0)
		refuse(gauge, guests, n);
	else
		gauge->started = true;
}

/* ---- the gauge ---- */

static void look(struct gauge *opaque, struct gauge_guest *const *guests, size_t n)
{
	struct account_gauge *gauge = (struct account_gauge *)opaque;

	if (gauge->started && gauge->kind->refresh(gauge) == -E2BIG)
		gauge->full = true;
	open_guests(gauge, guests, n);
}

static void hand_out(struct account_gauge *gauge, struct gauge_guest *const *guests, size_t n, reading_fn fn, void *data)
{
	for (size_t i = 0; i < n; i++) {
		struct gauge_guest *guest = guests[i];
		struct reading reading = { .domain = guest->domain, .name = guest->info.name, .last = guest->last };

		if (!guest->is_open)
			continue;
		gauge->kind->slice(gauge, guest->index, &reading);
		fn(&reading, data);
	}
}

static void read_guests(struct gauge *opaque, struct gauge_guest *const *guests, size_t n, reading_fn fn, void *data)
{
	struct account_gauge *gauge = (struct account_gauge *)opaque;
	struct vpmu_error error = {};
	int r = 0;

	if (gauge->started) {
		r = gauge->kind->read(gauge, &error);
		if (r == -E2BIG) {
			/* Whom there was no room for it has seen by now; the others can be read. */
			gauge->full = true;
			r = gauge->kind->read(gauge, &error);
		}
		if (r == 0)
			hand_out(gauge, guests, n, fn, data);
		gauge->kind->forget(gauge);
	}
	for (size_t i = 0; r < 0 && i < n; i++)
		guests[i]->error = error;
	if (gauge->full || (is_open(gauge) && gauge->kind->guest(gauge, GUESTS_MAX)))
		shut(gauge, guests, n);
	open_guests(gauge, guests, n);
}

static void close_guest(struct gauge *opaque, struct gauge_guest *guest)
{
	(void)opaque;
	guest->is_open = false;
}

static void gauge_free(struct gauge *opaque)
{
	struct account_gauge *gauge = (struct account_gauge *)opaque;

	gauge->kind->close(gauge);
	free(gauge);
}

static int account_new(const struct account_kind *kind, unsigned int keys, const char *proc_path, struct gauge **ret_gauge)
{
	struct account_gauge *gauge = calloc(1, sizeof(*gauge));

	if (!gauge)
		return -ENOMEM;
	gauge->gauge = (struct gauge){ look, read_guests, close_guest, gauge_free };
	gauge->kind = kind;
	gauge->keys = keys;
	gauge->proc_path = proc_path;
	*ret_gauge = &gauge->gauge;
	return 0;
}

int gauge_exits_new(unsigned int keys, const char *proc_path, struct gauge **ret_gauge)
{
	return account_new(&exits_kind, keys, proc_path, ret_gauge);
}

int gauge_clock_new(const char *proc_path, struct gauge **ret_gauge)
{
	return account_new(&clock_kind, 0, proc_path, ret_gauge);
}

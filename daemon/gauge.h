/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is read of the guests of a set (readings.h): counters, exits, or where their time went. A gauge belongs to its set and
 * works in the pool, one thing at a time; never in the loop.
 *
 * Counters are opened for each guest apart, so that what they cost goes with it. Exits and clocks are one account for the whole
 * set: each is a program in the kernel that every exit runs, and ten of them would cost ten times as much.
 */
#ifndef DAEMON_GAUGE_H
#define DAEMON_GAUGE_H

#include <vpmu/clock.h>
#include <vpmu/count.h>
#include <vpmu/exits.h>
#include "count_grants.h"

/* What was read of one guest since the reading before. Belongs to the gauge, valid during the call. */
struct reading {
	uint64_t domain;  /* its id */
	const char *name; /* as it was when the reading began */
	bool last;	  /* the guest is gone: what it did at the end */
	/* of the gauge's kind: */
	struct vpmu_counts counts;
	const struct count_grants *grants; /* what it was counted with */
	struct vpmu_exits *exits; /* names addresses; rows.guest means nothing here */
	struct vpmu_exit_rows rows; /* what is missing is that of the whole set */
	struct vpmu_clock_times times;
};

/* One guest of the set. */
struct gauge_guest {
	uint64_t domain;
	struct vpmu_guest_info info;
	bool last;		 /* it is gone, and read once more */
	bool is_open;		 /* the gauge's, as what follows */
	struct vpmu_error error; /* why it is not open, or could not be read; code 0 = nothing went wrong */
	struct vpmu_counters *counters;
	size_t n_ended;
	uint32_t index; /* in the account */
};

typedef void (*reading_fn)(const struct reading *reading, void *data);

struct gauge {
	/* All of these guests; those that are not open and live are opened. */
	void (*look)(struct gauge *gauge, struct gauge_guest *const *guests, size_t n);
	/* Likewise, and hands out what was read of each that was open. */
	void (*read)(struct gauge *gauge, struct gauge_guest *const *guests, size_t n, reading_fn fn, void *data);
	/* The guest is forgotten. */
	void (*close)(struct gauge *gauge, struct gauge_guest *guest);
	void (*free)(struct gauge *gauge);
};

/*
 * @proc_path: NULL = /proc; must outlive the gauge. @grants: what of @events may be counted with, copied; NULL, for tests = all.
 * Each -ENOMEM.
 */
int gauge_counters_new(const char *events, const char *proc_path, const struct count_grants *grants,
		       struct gauge **ret_gauge);
/*
 * In the loop: from the end of the next reading on, others are. Not sooner, so that nothing is lost that was counted until then. Without
 * memory those of before stay.
 */
void gauge_counters_regrant(struct gauge *gauge, const struct count_grants *grants);

/* @keys: as vpmu_exits_opts.keys. */
int gauge_exits_new(unsigned int keys, const char *proc_path, struct gauge **ret_gauge);
int gauge_clock_new(const char *proc_path, struct gauge **ret_gauge);

#endif

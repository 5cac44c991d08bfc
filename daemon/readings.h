/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a gauge (gauge.h) reads of a set of guests that changes: each guest that is wanted is opened when it starts and
 * closed when it is gone. Opening and reading take system calls for each vCPU, so both are done in the pool; one job at
 * a time for each set.
 *
 * counting.h and accounts.h have sets of all guests, for metrics; count_streams.h has a set for each call that streams.
 */
#ifndef DAEMON_READINGS_H
#define DAEMON_READINGS_H

#include "domains.h"
#include "gauge.h"
#include "jobs.h"

struct readings;

struct readings_opts {
	struct jobs *jobs;
	struct domains *domains;
	struct gauge *gauge; /* the set's from readings_new() on, also if that fails */
	/* In the loop: is this guest one of the set? NULL = all are. Asked when it starts or is renamed, and by readings_reconsider(). */
	bool (*wants)(const struct domain *domain, void *data);
	/* In the pool, one guest after the other. */
	reading_fn read;
	/* In the loop, after all of them: what was counted between the two times. */
	void (*done)(uint64_t start_ns, uint64_t end_ns, void *data);
	/* In the loop: guests were opened, or could not be. May be NULL. */
	void (*opened)(void *data);
	/* In the loop: a guest of the set is gone. May be NULL. */
	void (*gone)(uint64_t domain, void *data);
	/* In the loop, the last callback of all: nothing needs @data any more. */
	void (*release)(void *data);
	void *data;
};

/* Guests that run already are opened at once, in the pool. Errors: -ENOMEM, -EBUSY (jobs_run()). */
int readings_new(const struct readings_opts *opts, struct readings **ret_readings);

/* A job that is running goes on to call `read` until it ends; then, or at once, comes `release`, and nothing else. */
struct readings *readings_free(struct readings *readings);
DEFINE_CLEANUP(struct readings *, readings_free)

/* readings_read - read every guest; `done` comes. While one is under way this does nothing. Errors: those of jobs_run() */
int readings_read(struct readings *readings);
/* The same, but while one is under way it is done once more after that: what it reads with is new. */
int readings_read_again(struct readings *readings);

/* Asks again which guests are wanted: something changed that `wants` looks at. */
void readings_reconsider(struct readings *readings);

/* How many guests of the set run now; on how many of them is being counted. Not from `read`. */
size_t readings_guests(const struct readings *readings);
size_t readings_counted(const struct readings *readings);

/* Why the guest that failed last could not be counted on; code 0 = none did. */
void readings_error(const struct readings *readings, struct vpmu_error *ret_error);

#endif

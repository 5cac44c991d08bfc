/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop of commands that measure for a while: until the time is over, a signal came, or there is nothing left to
 * measure; with a look now and then, and something to print at every interval.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include <stdint.h>
#include <vpmu/error.h>

struct watch {
	const char *doing;    /* for the progress line: "counting" */
	uint64_t duration_ns; /* 0 = without end */
	uint64_t interval_ms; /* 0 = none */
	/* A few times a second; a negative errno ends the measurement (-ESRCH: the guests are gone). */
	int (*look)(void *data, struct vpmu_error *reterr);
	/* At the end of each interval. */
	int (*tick)(void *data, struct vpmu_error *reterr);
	void *data;
};

/* 0, or what look() or tick() gave. */
int watch_run(const struct watch *watch, struct vpmu_error *reterr);

#endif

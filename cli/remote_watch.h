/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measurements by way of vpmud, which tells intervals: how many of which length make up the time that was asked for, until when
 * it is heard, and what is said at the end. (watch.h is the same without vpmud.)
 */
#ifndef CLI_REMOTE_WATCH_H
#define CLI_REMOTE_WATCH_H

#include <stdint.h>
#include "output.h"
#include "progress.h"
#include "remote.h"

struct remote_watch {
	const char *method, *doing; /* "Counters", "counting" */
	uint64_t interval_ms, duration_ns; /* 0 = none; without end */
	/* Each interval; a negative errno ends it. */
	int (*hear)(struct json_object *reply, void *data, struct vpmu_error *reterr);
	void *data;
	/* remote_watch_run()'s */
	bool intervals; /* they are to be printed, as there are more than the total */
	uint64_t n_wanted, n_heard;
	struct progress progress;
	struct vpmu_error *reterr;
};

/*
 * remote_watch_plan - tells whether intervals are to be printed: not if there would be none.
 * remote_watch_run - @parameters, with guests and what else the method takes, are taken. Says when the guests were gone. 0, or
 * what went wrong.
 */
void remote_watch_plan(struct remote_watch *watch);
int remote_watch_run(struct remote_watch *watch, struct vpmu_client *client, struct json_object *parameters,
		     struct vpmu_error *reterr);

#endif

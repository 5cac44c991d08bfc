/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small pool of threads for what would hold up the loop: resolving, merging, reading the store. A job runs in a thread
 * of the pool, then its end runs in the loop. Jobs start in the order they were handed in.
 *
 * jobs_post() is the way back for other threads (runner.h): it makes the loop call a function, soon, in order.
 */
#ifndef DAEMON_JOBS_H
#define DAEMON_JOBS_H

#include <systemd/sd-event.h>
#include <vpmu/error.h>
#include "util/cleanup.h"

struct jobs;

/* Errors: -ENOMEM, -EAGAIN (threads). */
int jobs_new(sd_event *loop, unsigned int n_threads, struct jobs **ret_jobs, struct vpmu_error *reterr);

/* Lets the running jobs end, drops those that wait (their end is called with @cancelled), runs what was posted. */
struct jobs *jobs_free(struct jobs *jobs);
DEFINE_CLEANUP(struct jobs *, jobs_free)

/* @end is always called once, in the loop, unless this returns an error: -ENOMEM, -EBUSY (1000 wait already). */
int jobs_run(struct jobs *jobs, void (*work)(void *data), void (*end)(void *data, bool cancelled), void *data);

/* From any thread. Errors: -ENOMEM. */
int jobs_post(struct jobs *jobs, void (*fn)(void *data), void *data);

#endif

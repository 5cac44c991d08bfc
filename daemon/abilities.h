/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this machine can do (vpmu/host.h). Finding out takes some 10 ms of trying, so it is done in the pool, once for all who
 * ask at the same time, and what was found is good for some seconds.
 */
#ifndef DAEMON_ABILITIES_H
#define DAEMON_ABILITIES_H

#include <vpmu/host.h>
#include "jobs.h"

struct abilities;

/* Errors: -ENOMEM. */
int abilities_new(struct jobs *jobs, struct abilities **ret_abilities, struct vpmu_error *reterr);
/* Whoever still waits gets host NULL and -ECANCELED. */
struct abilities *abilities_free(struct abilities *abilities);
DEFINE_CLEANUP(struct abilities *, abilities_free)

/* @host: valid during the call; NULL and an error if it could not be had. */
typedef void (*abilities_fn)(const struct vpmu_host *host, const struct vpmu_error *error, void *data);
/* abilities_ask - @fn is called once, now or later, unless this fails: -ENOMEM, -EBUSY (jobs_run()). */
int abilities_ask(struct abilities *abilities, abilities_fn fn, void *data);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A minute's profile of all guests, taken apart: in the pool each guest's part becomes bytes, in the loop they go to the store.
 */
#ifndef DAEMON_MINUTE_H
#define DAEMON_MINUTE_H

#include "jobs.h"
#include "store.h"

struct minutes;

/* @store may be NULL: nothing is kept. */
struct minutes *minutes_new(struct jobs *jobs, struct store *store);
/* What is under way is finished here and now. */
struct minutes *minutes_free(struct minutes *minutes);
DEFINE_CLEANUP(struct minutes *, minutes_free)

/* @profile is taken. */
void minutes_keep(struct minutes *minutes, struct vpmu_profile *profile, int64_t minute_ms);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The BPF program that takes guests' call chains costs the kernel a tenth of a second to verify, and is shared by all sessions of a
 * process as long as one has it. So one that never starts is kept, made in the pool as vpmud starts: no client's session waits for it.
 * Where the program cannot be loaded, that is said once, and sessions try by themselves.
 */
#ifndef DAEMON_PRELOAD_H
#define DAEMON_PRELOAD_H

#include "jobs.h"

struct preload;

/* Errors: -ENOMEM, -EBUSY. */
int preload_new(struct jobs *jobs, struct preload **ret_preload, struct vpmu_error *reterr);
/* Does not wait for the job. */
struct preload *preload_free(struct preload *preload);
DEFINE_CLEANUP(struct preload *, preload_free)

#endif

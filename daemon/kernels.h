/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks into each guest, once it had time to boot, for the kernel that runs there (vpmu/introspect.h), and tells the domains. That
 * takes up to a second for each, so it is done in the pool, one guest at a time; a guest in which no Linux is found has
 * the reason in its `why` and gets a few more looks.
 */
#ifndef DAEMON_KERNELS_H
#define DAEMON_KERNELS_H

#include "domains.h"
#include "jobs.h"

struct kernels;

/* @first_look_ms: after the start of a guest; 0 = the default. Errors: -ENOMEM. */
int kernels_new(sd_event *loop, struct jobs *jobs, struct domains *domains, uint32_t first_look_ms,
		struct kernels **ret_kernels, struct vpmu_error *reterr);
/* Before jobs and domains. A look under way ends by itself. */
struct kernels *kernels_free(struct kernels *kernels);
DEFINE_CLEANUP(struct kernels *, kernels_free)

#endif

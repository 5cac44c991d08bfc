/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to hand out on this node, for the arbiter. */
#ifndef DAEMON_NODE_H
#define DAEMON_NODE_H

#include "arbiter.h"
#include <vpmu/error.h>

/* Opens events for an instant, none that includes guests. Errors: -ENOMEM. */
int node_probe(struct arbiter_node *ret_node, struct vpmu_error *reterr);

#endif

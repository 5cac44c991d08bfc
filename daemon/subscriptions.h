/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients that are told of guests as they come and go (the method Subscribe). For each it is known what it was told last; what differs
 * from that is sent, in the loop's next round, and only while the client keeps up with reading. So a slow
 * reader gets fewer changes and never the wrong ones, and costs no more than what it was told.
 */
#ifndef DAEMON_SUBSCRIPTIONS_H
#define DAEMON_SUBSCRIPTIONS_H

#include "access.h"
#include "call.h"
#include "domains.h"
#include "guest_views.h"

struct subscriptions;

/* Errors: -ENOMEM. */
int subscriptions_new(sd_event *loop, struct domains *domains, struct guest_views *views, struct access *access,
		      struct subscriptions **ret_subscriptions, struct vpmu_error *reterr);
struct subscriptions *subscriptions_free(struct subscriptions *subscriptions); /* after the server, before domains */
DEFINE_CLEANUP(struct subscriptions *, subscriptions_free)

/* The answers to @call from now on. @patterns (an array of @n) is taken, its strings are the call's. Errors: -ENOMEM. */
int subscriptions_add(struct subscriptions *subscriptions, struct call *call, const char **patterns, size_t n);

/* After a reload: somebody may see others than before. */
void subscriptions_reload(struct subscriptions *subscriptions);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls of Counters, Exits and Time in progress. Each has counters, or an account, of its own on the guests that it means, and a
 * timer; streams of one user with equal parameters share them, so that ten dashboards cost what one does. A stream follows guests that come and go, and
 * ends when none is left.
 *
 * Nobody gets counts from before his call: who joins a stream has his first reply after the interval that begins next. A client
 * that does not keep up misses intervals, as their times tell.
 */
#ifndef DAEMON_COUNT_STREAMS_H
#define DAEMON_COUNT_STREAMS_H

#include "arbiter.h"
#include "call.h"
#include "manager.h"
#include "stream_reply.h"

struct count_streams;
struct json_object;

int count_streams_new(struct manager *manager, struct count_streams **ret_streams, struct vpmu_error *reterr);
/* Forgets all calls, which are not answered. */
struct count_streams *count_streams_free(struct count_streams *streams);
DEFINE_CLEANUP(struct count_streams *, count_streams_free)

/* After a reload of the configuration: who sees fewer guests than before counts on fewer, who may not look any more gets an error. */
void count_streams_reload(struct count_streams *streams);

/* A list of org.vpmu's type Stream: those that @peer may see. */
struct json_object *count_streams_json(const struct count_streams *streams, const struct peer *peer);

/* The arbiter has told somebody (arbiter_changed_fn). @streams may be NULL. */
void count_streams_grant_changed(struct count_streams *streams, uint64_t request, size_t event, const struct grant *grant);

struct count_request {
	enum stream_what what;
	unsigned int keys; /* of Exits: bits by enum vpmu_exit_key */
	const char *const *guests; /* patterns; none = all that the caller may see */
	size_t n_guests;
	const char *events; /* of Counters: NULL = the usual ones, "" = only times */
	uint32_t interval_ms;
	uint64_t intervals; /* INT64_MAX = without end, for as long as it matters */
};

/*
 * count_streams_add - the call is answered from now on, or was: with LimitReached, where there are too many accounts. Errors: -ENOMEM,
 * what the loop gave; then it is not.
 */
int count_streams_add(struct count_streams *streams, struct call *call, const struct count_request *request);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the streams of Counters, Exits and Time (count_streams.h) reply for one interval. Filled in the pool, one guest after
 * the other; made into a reply in the loop.
 */
#ifndef DAEMON_STREAM_REPLY_H
#define DAEMON_STREAM_REPLY_H

#include "call.h"
#include "gauge.h"
#include "manager.h"

enum stream_what { STREAM_COUNTERS, STREAM_EXITS, STREAM_TIME };

struct stream_reply {
	enum stream_what what;
	unsigned int keys; /* of exits: bits by enum vpmu_exit_key */
	struct json_object *rows; /* NULL = none yet */
	struct vpmu_exit_rows losses; /* without rows */
	char silent[200];
};

void stream_reply_add(struct stream_reply *reply, const struct reading *reading);

/*
 * stream_reply_take - the reply's parameters, to be ended with json_object_put(); the next interval begins with nothing.
 * @peer: with whose eyes it is looked; who is tied to certain guests is not told who else there is.
 */
struct json_object *stream_reply_take(struct stream_reply *reply, struct manager *manager, const struct peer *peer,
				      uint64_t start_ns, uint64_t end_ns);

void stream_reply_deinit(struct stream_reply *reply);

#endif

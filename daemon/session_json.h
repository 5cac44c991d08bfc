/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions as the interface has them. */
#ifndef DAEMON_SESSION_JSON_H
#define DAEMON_SESSION_JSON_H

#include "sessions.h"

/* Of those guests that are profiled now only the ones that @peer may see are told. NULL when out of memory. */
struct json_object *session_json(const struct session *session, const struct manager *manager, const struct peer *peer);

/*
 * session_wishes_take - what StartSession and Record have in common, from a call's parameters. @ret_guests: to be freed; the wishes
 * point to it and into the call. Returns 1; 0 if the call was answered: it asks for what cannot be; -ENOMEM.
 */
int session_wishes_take(struct call *call, struct session_wishes *ret_wishes, const char ***ret_guests);

/* Answers a call whose session was refused. */
int session_refuse(struct call *call, const struct session_wishes *wishes, const struct session_refusal *refusal);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A call as dispatch.c makes it and connection.c ends it. For methods there is call.h. */
#ifndef DAEMON_CALL_PRIVATE_H
#define DAEMON_CALL_PRIVATE_H

#include "call.h"
#include "connection.h"

/* What the client asked for. */
struct call_wishes {
	bool more, oneway;
};

/*
 * @method: with its interface: "org.vpmu.ListGuests". @parameters: taken. Begins: the connection holds a reference until it has
 * ended, and so does the caller.
 */
int call_new(struct connection *connection, const char *method, struct json_object *parameters,
	     const struct call_wishes *wishes, struct call **ret_call);

/*
 * Its charge for a stream is given back when it ends. If its client goes before: when nobody keeps it any more, since work that is
 * still done for it is what the charge is for.
 */
void call_set_streaming(struct call *call);
bool call_ended(const struct call *call);
/* Somebody besides connection and dispatch keeps it, to reply later. */
bool call_is_kept(const struct call *call);

/* The client is gone. */
void call_gone(struct call *call);

/* An error of any interface, by its full name. @parameters: taken. */
int call_fail_as(struct call *call, const char *error, struct json_object *parameters);
/* An error of org.varlink.service with one parameter. */
int call_fail_service(struct call *call, const char *error, const char *key, const char *value);

#endif

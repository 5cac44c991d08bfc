/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client's connection: bytes come in, become calls, one after the other; replies go out in the order of the calls. The next call
 * waits until the one before has ended and most of what it said has been read: a client that sends a thousand calls and reads
 * nothing is held up, nobody else.
 *
 * Closing happens in the connection's own events only. Whoever finds it broken marks it (connection_break()).
 */
#ifndef DAEMON_CONNECTION_H
#define DAEMON_CONNECTION_H

#include "call.h"
#include "server.h"
#include "util/strbuf.h"

/*
 * @fd is taken, and with it the charge for a connection of @peer's (CHARGE_CONNECTION), in any case. @stranger: of one who may not look,
 * which is closed when nothing comes from it for as long as send-timeout.
 */
int connection_new(struct server *server, int fd, const struct peer *peer, bool stranger,
		   struct connection **ret_connection);
/* Closes it: a call in progress hears that its client is gone. */
struct connection *connection_free(struct connection *connection);
DEFINE_CLEANUP(struct connection *, connection_free)

uint64_t connection_id(const struct connection *connection);
const struct peer *connection_peer(const struct connection *connection);
struct server *connection_server(const struct connection *connection);
size_t connection_queued_bytes(const struct connection *connection);
size_t connection_charged_input(const struct connection *connection); /* for server_may_charge_input() */
bool connection_is_strangers(const struct connection *connection);

/* What is not to be read any more: the connection will be closed, soon. @why NULL: the client left. */
void connection_break(struct connection *connection, const char *why);

/* connection_send - queues a message (its NUL included; taken) and a descriptor (taken; -1 = none). */
void connection_send(struct connection *connection, struct strbuf *message, int fd);

/* The call in progress, from its begin to its end. */
void connection_call_begins(struct connection *connection, struct call *call);
void connection_call_ended(struct connection *connection);

/* All connections, for the server. */
struct connection *connection_next(const struct connection *connection);
void connection_link(struct connection *connection, struct connection **head);

#endif

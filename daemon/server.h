/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listens, and holds the connections (connection.h), each of which reads calls and hands them on (dispatch.h).
 *
 * The socket is open to everyone (mode 0666): who may do what is decided by who calls, so that those who may not are told so.
 * What anyone can make vpmud hold is bounded: connections, bytes of unfinished requests, replies that are not read.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <systemd/sd-event.h>
#include <vpmu/error.h>
#include "interface.h"
#include "util/cleanup.h"

struct connection;
struct manager;
struct peer;
struct server;

/*
 * server_new - @listen_fd: a listening socket from systemd (taken, in any case), or -1: @path is made. A socket that was left there
 * is replaced. @check_replies: for tests, an answer that the interface does not allow becomes an error.
 * Needs the manager's loop, config, access.
 * Errors: -EADDRINUSE (a living server has @path), -EEXIST (something else is there), -EACCES, -ENOENT, …
 */
int server_new(struct manager *manager, const char *path, int listen_fd, bool check_replies, struct server **ret_server,
	       struct vpmu_error *reterr);
/* Closes all connections: their calls hear of it. Removes the socket that server_new() made. */
struct server *server_free(struct server *server);
DEFINE_CLEANUP(struct server *, server_free)

struct server_stats {
	uint32_t connections;
	uint64_t calls, calls_failed;
	uint64_t clients_dropped; /* for what they did: did not read, sent what is no varlink, … */
	uint64_t clients_refused; /* too many connections */
};
void server_stats(const struct server *server, struct server_stats *ret_stats);

/* ---- for connection.c, dispatch.c, call.c ---- */

struct manager *server_manager(struct server *server);
const struct interface *server_interface(const struct server *server); /* org.vpmu */
const struct interface *server_service(const struct server *server);   /* org.varlink.service */
bool server_checks_replies(const struct server *server);
struct server_stats *server_counts(struct server *server);

/*
 * Requests that are longer than most are charged while they arrive: -EDQUOT if all of this client's user, with @more of @connection's,
 * are more than is good.
 */
int server_may_charge_input(const struct server *server, const struct connection *connection, size_t more);

/* A client of @peer's is dropped for what it did: counted, and said, but not more than a few times a minute. */
void server_drops(struct server *server, const struct peer *peer, const char *why);

/* One of the connections is closed. */
void server_forget(struct server *server);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.varlink.service: what every varlink service tells about itself. Everyone may ask. */
#ifndef DAEMON_INTROSPECTION_H
#define DAEMON_INTROSPECTION_H

struct call;
struct server;

/* @method is one of the interface, its parameters are right. */
int introspection_run(struct call *call, const char *method, struct server *server);

#endif

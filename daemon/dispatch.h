/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A message becomes a call: is it one, whose interface and method is it, may the caller, are its parameters right? What fails
 * here never reaches a method.
 */
#ifndef DAEMON_DISPATCH_H
#define DAEMON_DISPATCH_H

#include <stddef.h>

struct connection;

void dispatch(struct connection *connection, const char *text, size_t n);

#endif

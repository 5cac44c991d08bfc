/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a client's wishes to a session that could be started. */
#ifndef DAEMON_SESSION_NEW_H
#define DAEMON_SESSION_NEW_H

#include "session.h"

/*
 * session_new - checks what can be checked without knowing the node's guests, and plans the events. @taken tells whether a name is
 * taken. Errors: as sessions_start(); @refusal is filled.
 */
int session_new(const struct session_wishes *wishes, bool (*taken)(const void *data, const char *name), const void *data,
		struct session **ret_session, struct session_refusal *refusal);

#endif

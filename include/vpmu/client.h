/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asking vpmud, the daemon, over its socket. The protocol is varlink (https://varlink.org), the methods and their types are
 * those of the interface org.vpmu: org.vpmu(7). Parameters and replies are JSON text here, so that this header stays
 * small and every method, of this version or a later one, can be called.
 *
 *   vpmu_client_new()  ->  _call() … or _more()  ->  _free()
 *
 * Calls block, for timeout_ms at most between two replies. One client is one connection, and for one thread at a time.
 * Sessions that were started through it and are not lasting end with it.
 */
#ifndef VPMU_CLIENT_H
#define VPMU_CLIENT_H

#include <vpmu/common.h>
#include <vpmu/error.h>

struct vpmu_client_opts {
	size_t sz;
	const char *socket;   /* path; default: VPMU_SOCKET of the environment, else /run/vpmud/org.vpmu */
	uint32_t timeout_ms;  /* default 30000 */
	uint32_t wake_ms;     /* vpmu_client_more(): how often its function is called while nothing comes (with a NULL
				 reply); a signal's handler that ran is told of at once. Default: never */
};

struct vpmu_client;

/*
 * @reply: the reply's parameters, a JSON object; NULL: wake_ms are over. @fd: the descriptor that came with it, else -1;
 * the function's to close.
 * Returns 0 to go on; 1 to stop listening, or a negative errno to fail with: if more replies were to come, the connection
 * is closed.
 */
typedef int (*vpmu_reply_fn)(const char *reply, int fd, void *data);

VPMU_BEGIN_DECLS

/*
 * vpmu_client_new - connect.
 * Errors: -ENOENT and -ECONNREFUSED (no vpmud here), -EACCES, -ETIMEDOUT, -EINVAL (options; a path that is too long).
 */
VPMU_API int vpmu_client_new(const struct vpmu_client_opts *opts, struct vpmu_client **ret_client,
			     struct vpmu_error *reterr);
VPMU_API struct vpmu_client *vpmu_client_free(struct vpmu_client *client);

/*
 * vpmu_client_call - one call, one reply.
 * @method: of org.vpmu ("ListGuests"), or with its interface ("org.varlink.service.GetInfo").
 * @parameters: a JSON object, or NULL for none.
 * @ret_reply: its parameters, a JSON object, to be freed. A descriptor that comes with it is closed: vpmu_client_more()
 * hands them out, for methods that reply once, too.
 * Errors: those of vpmud come with its text and hint: -ENOENT (guest, session), -EACCES, -EBUSY (refused), -EDQUOT (limit),
 * -EOPNOTSUPP, -ENODATA, -EINVAL (a parameter), -ENOSYS (no such method), -EREMOTEIO (others). -ETIMEDOUT, -ECONNRESET
 * (vpmud went away), -EPROTO (what came is no varlink): the connection is of no more use, later calls return -ENOTCONN.
 */
VPMU_API int vpmu_client_call(struct vpmu_client *client, const char *method, const char *parameters,
			      char **ret_reply, struct vpmu_error *reterr);

/*
 * vpmu_client_more - one call, any number of replies: @fn hears each, the last one too. timeout_ms are between two replies.
 * Errors as vpmu_client_call(), and what @fn returned (of which @reterr tells nothing).
 */
VPMU_API int vpmu_client_more(struct vpmu_client *client, const char *method, const char *parameters,
			      vpmu_reply_fn fn, void *data, struct vpmu_error *reterr);

/* vpmu_client_error - the name of the varlink error that the last call failed with, "org.vpmu.Refused"; "" if none. */
VPMU_API const char *vpmu_client_error(const struct vpmu_client *client);

/* vpmu_client_error_parameters - what came with it, a JSON object; "{}" if nothing. */
VPMU_API const char *vpmu_client_error_parameters(const struct vpmu_client *client);

VPMU_END_DECLS

#endif

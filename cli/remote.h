/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmud, where it runs, does what a command is asked to do: it may more than the user, knows what libvirt knows and sees to it that
 * profilers do not get into each other's way. Where it does not run, or with --local, the command does it itself.
 *
 * Without its own socket (--socket, VPMU_SOCKET) a command looks at the usual place. If nothing is there it goes on by itself
 * without a word; if something is there that does not answer, with a line. A socket that was named must answer.
 */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <vpmu/vpmu.h>
#include "output.h"
#include "options.h"
#include "util/cleanup.h"

struct json_object;

struct remote_args {
	bool local;
	const char *socket;
};
extern const struct option_spec remote_options[];

DEFINE_CLEANUP(struct vpmu_client *, vpmu_client_free)

/* A parsed reply, ended at the end of its scope. */
void remote_reply_free(struct json_object **reply);
#define _reply_ __attribute__((cleanup(remote_reply_free)))

/*
 * Connects: *ret_client is NULL if the command is to do without. What is wrong was said. @quiet_ms: how long vpmud is silent between
 * two replies because it was asked to be.
 */
enum status remote_open(const struct remote_args *args, uint64_t quiet_ms, struct vpmu_client **ret_client);

/* remote_call - one call, one reply. @parameters are taken; NULL = none. */
int remote_call(struct vpmu_client *client, const char *method, struct json_object *parameters,
		struct json_object **ret_reply, struct vpmu_error *reterr);

/* @reply: NULL from time to time, so that ^C is noticed. @fd is the function's to close. Returns as vpmu_reply_fn. */
typedef int (*remote_fn)(struct json_object *reply, int fd, void *data);

/* remote_stream - one call, many replies. @parameters are taken. */
int remote_stream(struct vpmu_client *client, const char *method, struct json_object *parameters, remote_fn fn,
		  void *data, struct vpmu_error *reterr);

/* remote_fetch - one call whose reply comes with a descriptor. @parameters are taken. */
int remote_fetch(struct vpmu_client *client, const char *method, struct json_object *parameters,
		 struct json_object **ret_reply, int *ret_fd, struct vpmu_error *reterr);

/* What the user called guests, as an array. */
struct json_object *remote_names(const struct name_list *names);
/* "guest", "host", "both". */
const char *remote_side(unsigned int sides);

#endif

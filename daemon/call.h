/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One varlink method call in progress. By the time a method hears of it, its parameters have the types that the interface
 * file (org.vpmu.varlink) says, none that it requires is missing, and the caller may call this method at all.
 *
 * A method replies at once, or keeps the call (call_ref()) and replies later from the loop. A call ends with call_reply()
 * or one of the failures; before, if call_wants_more(), any number of call_reply_more(). When the client goes away or
 * is dropped the call is dead: on_gone hears of it once, from the loop and never from inside a reply; further replies are
 * ignored. Replies to a "oneway" call go nowhere.
 *
 * All of this belongs to the loop's thread.
 */
#ifndef DAEMON_CALL_H
#define DAEMON_CALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmu/error.h>
#include "client/json.h"
#include "util/cleanup.h"
#include "util/macro.h"

struct call;
struct connection;

/* Who is at the other end, by SO_PEERCRED and SO_PEERGROUPS: as it was when it connected. */
struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	const gid_t *groups; /* supplementary ones */
	size_t n_groups;
};

struct call *call_ref(struct call *call);
struct call *call_unref(struct call *call);
DEFINE_CLEANUP(struct call *, call_unref)

const char *call_method(const struct call *call);	    /* "ListGuests" */
struct json_object *call_parameters(const struct call *call); /* belongs to the call; never NULL */
bool call_wants_more(const struct call *call);
const struct peer *call_peer(const struct call *call);
/* The connection's number: the same for all calls of one connection, never used again. */
uint64_t call_connection(const struct call *call);

/* call_on_gone - @fn is called once if the client goes before the call has ended. NULL = nobody. */
void call_on_gone(struct call *call, void (*fn)(struct call *call, void *data), void *data);

/* Bytes that wait to be sent to this client: a method that streams pauses (skips an interval) when there are many. */
size_t call_queued_bytes(const struct call *call);

/* ---- parameters, of types that were checked; absent and null are the same ---- */

const char *call_string(const struct call *call, const char *name);	     /* NULL if absent */
int64_t call_int(const struct call *call, const char *name, int64_t otherwise);
bool call_bool(const struct call *call, const char *name);		     /* false if absent */
double call_float(const struct call *call, const char *name, double otherwise);
/* A list of strings: *ret_n of them, an array to be freed; its strings belong to the call. NULL and 0 if absent. -ENOMEM */
int call_strings(const struct call *call, const char *name, const char ***ret_strings, size_t *ret_n);

/* ---- the answer; @parameters are taken (NULL = out of memory, or none) ---- */

int call_reply(struct call *call, struct json_object *parameters);
/* An error if this cannot be sent (it is too long): then the call has ended with one, and on_gone does not hear of it. */
int call_reply_more(struct call *call, struct json_object *parameters);
/* The last reply with a descriptor, which is taken (closed once sent). */
int call_reply_file(struct call *call, struct json_object *parameters, int fd);

/* @error: a name of the interface without "org.vpmu.": "SessionNotFound". */
int call_fail(struct call *call, const char *error, struct json_object *parameters);
/*
 * The typed error that @error's code stands for: -ENOENT GuestNotFound (of @subject), -EPERM and -EACCES PermissionDenied,
 * -EOPNOTSUPP NotAvailable, -ENODATA NoData, -EINVAL BadValue (of the parameter @subject), everything else Failed.
 */
int call_fail_with(struct call *call, const struct vpmu_error *error, const char *subject);
/* org.varlink.service.InvalidParameter / BadValue (parameter, text). */
int call_bad_value(struct call *call, const char *parameter, const char *format, ...) _printf_(3, 4);

/* What the caller may. */
enum right {
	RIGHT_READ,    /* everything that only looks */
	RIGHT_OPERATE, /* start sessions, record */
};

struct manager;

/*
 * The table of methods (methods.c). A method that fails before it replied returns what call_fail*() returned. A negative
 * return value without a reply, and without a reference kept, is answered for it (call_fail_with()).
 */
struct method {
	const char *name;
	enum right right;
	int (*run)(struct call *call, struct manager *manager);
	bool streams;	/* may go on for long: counts as one of the user's subscriptions */
	bool only_more; /* makes no sense without "more" */
};
const struct method *method_find(const char *name);
const struct method *method_at(size_t i); /* NULL behind the last */

#endif

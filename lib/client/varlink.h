/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Varlink's wire (https://varlink.org): JSON objects over a stream socket, each ended by a NUL byte. Here is what both ends
 * need: where messages end in what arrives, and a message's text turned into a value that the other end cannot have made
 * ambiguous or expensive.
 *
 * What JSON leaves open is settled: UTF-8 throughout; no key twice in an object (which one would count?); no NUL in
 * strings (C would see another one); whole numbers fit into 64 bits with a sign; nothing behind the object.
 */
#ifndef CLIENT_VARLINK_H
#define CLIENT_VARLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <vpmu/error.h>
#include "util/strbuf.h"

struct json_object;

struct varlink_limits {
	size_t max_bytes;	/* of a message, without its NUL */
	unsigned int max_depth; /* objects and arrays in each other */
	size_t max_values;	/* in a message: "[]" takes 300 bytes of memory for two on the wire */
};

/* What arrived and is not yet used up. Zero-initialised is empty. */
struct varlink_input {
	char *bytes;
	size_t start, n, room; /* from start, n bytes */
	size_t searched;       /* of them, those known to be no NUL */
};

void varlink_input_deinit(struct varlink_input *in);

/*
 * varlink_input_reserve - where the next bytes of the stream go: at least one, at most *ret_room. Texts of messages seen
 * before are no longer valid.
 * Errors: -EMSGSIZE: the message that is arriving is longer than @max_bytes; -ENOMEM.
 */
int varlink_input_reserve(struct varlink_input *in, size_t max_bytes, char **ret_at, size_t *ret_room);
/* So many bytes are there now. */
void varlink_input_added(struct varlink_input *in, size_t n);

/* varlink_input_next - the next whole message, NUL-terminated; false if there is none yet. */
bool varlink_input_next(struct varlink_input *in, const char **ret_text, size_t *ret_n);
/* Is there a whole message? Takes nothing. */
bool varlink_input_ready(struct varlink_input *in);

/*
 * varlink_parse - the object that a message is. *ret_message: end it with json_object_put().
 * Errors: -EBADMSG (no JSON object, or not as said above), -EMSGSIZE (beyond @limits), -ENOMEM.
 */
int varlink_parse(const char *text, size_t n, const struct varlink_limits *limits, struct json_object **ret_message,
		  struct vpmu_error *reterr);

/* varlink_write - @message as it goes over the wire, its NUL included. */
void varlink_write(struct strbuf *out, struct json_object *message);

#endif

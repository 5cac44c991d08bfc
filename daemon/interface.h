/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A varlink interface, read from its description: what values methods take and give. It is what callers' parameters are checked
 * against, and, in tests, our own answers; the text itself, comments included, is what introspection shows.
 *
 * The language, in full (https://varlink.org/Interface-Definition):
 *
 *	interface org.example
 *	type Name (field: type, …)	  also: type Name (one, two, three)	an enum, strings on the wire
 *	method Name(field: type, …) -> (field: type, …)
 *	error Name (field: type, …)
 *	types: bool int float string object, Name, (field: type, …) or (one, two) in place; ?type may be null or absent,
 *	       []type is a list, [string]type a map
 */
#ifndef DAEMON_INTERFACE_H
#define DAEMON_INTERFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <vpmu/error.h>
#include "util/cleanup.h"

struct interface;
struct json_object;

/* Errors: -EINVAL with the line, -ENOMEM. */
int interface_parse(const char *text, size_t n, struct interface **ret_interface, struct vpmu_error *reterr);
struct interface *interface_free(struct interface *interface);
DEFINE_CLEANUP(struct interface *, interface_free)

const char *interface_name(const struct interface *interface);
const char *interface_text(const struct interface *interface);

enum interface_part { INTERFACE_CALL, INTERFACE_REPLY, INTERFACE_ERROR };

/* Names of methods (or errors), in the order of the text; NULL behind the last. */
const char *interface_member(const struct interface *interface, enum interface_part part, size_t i);
bool interface_has(const struct interface *interface, enum interface_part part, const char *name);

#define INTERFACE_WHERE_BYTES 128

/*
 * interface_check - do @parameters (NULL: none) fit a call of, or a reply to the method @name, or the error @name? Unknown fields do not.
 * @ret_where (of INTERFACE_WHERE_BYTES): which one does not: "source.guests[2]".
 * Errors: -EINVAL, -ENOENT (no such method or error).
 */
int interface_check(const struct interface *interface, enum interface_part part, const char *name,
		    struct json_object *parameters, char *ret_where, struct vpmu_error *reterr);

#endif

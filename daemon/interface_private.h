/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What interface.c reads and interface_check.c goes by. */
#ifndef DAEMON_INTERFACE_PRIVATE_H
#define DAEMON_INTERFACE_PRIVATE_H

#include "interface.h"
#include "util/vec.h"

enum type_kind { TYPE_BOOL, TYPE_INT, TYPE_FLOAT, TYPE_STRING, TYPE_OBJECT, TYPE_STRUCT, TYPE_ENUM, TYPE_NAMED, TYPE_LIST, TYPE_MAP };

struct type;

struct field {
	char *name;
	struct type *type; /* NULL in an enum */
};

struct type {
	enum type_kind kind;
	bool nullable;
	VEC(struct field) fields; /* of a struct or enum */
	struct type *element;	  /* of a list or map */
	char *name;		  /* of a named one, in this line, which is that one */
	unsigned int line;
	const struct type *named;
};

struct type *type_free(struct type *type);
DEFINE_CLEANUP(struct type *, type_free)

enum member_kind { MEMBER_TYPE, MEMBER_METHOD, MEMBER_ERROR, MEMBER_KINDS };

struct member {
	enum member_kind kind;
	char *name;
	struct type *in, *out; /* out: of methods */
};

struct interface {
	char *name, *text;
	VEC(struct member) members;
};

struct member *interface_find(const struct interface *interface, enum member_kind kind, const char *name);

#endif

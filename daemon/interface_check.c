/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "interface_private.h"
#include "util/error.h"
#include "util/macro.h"

/* Where the check is, for the message: stays as it is when something does not fit. */
struct where {
	char *path;
	struct vpmu_error *reterr;
};

static int check(struct json_object *value, const struct type *type, struct where *where);

static int misfit(struct where *where, const char *why)
{
	return error_set(where->reterr, -EINVAL, "%s: %s", where->path, why);
}

static const char *noun(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_boolean:
		return "a truth value";
	case json_type_int:
		return "a whole number";
	case json_type_double:
		return "a number";
	case json_type_string:
		return "a string";
	case json_type_array:
		return "a list";
	case json_type_object:
		return "an object";
	default:
		return "null";
	}
}

static int misfit_type(struct where *where, const char *wanted, struct json_object *value)
{
	return error_set(where->reterr, -EINVAL, "%s: needs %s, not %s", where->path, wanted, noun(value));
}

/* Names may be long and deep; the path then ends early. Returns where it ended before. */
static size_t enter(struct where *where, const char *format, const char *name, size_t i)
{
	size_t n = strlen(where->path);

	snprintf(where->path + n, INTERFACE_WHERE_BYTES - n, format, name, i);
	return n;
}

static int check_at(struct json_object *value, const struct type *type, struct where *where, const char *format,
		    const char *name, size_t i)
{
	size_t n = enter(where, format, name, i);
	int r = check(value, type, where);

	if (r == 0)
		where->path[n] = '\0';
	return r;
}

static const char *separator(const struct where *where)
{
	return where->path[0] ? ".%s" : "%s";
}

static const struct field *find_field(const struct type *type, const char *name)
{
	vec_for_each(field, &type->fields)
		if (streq(field->name, name))
			return field;
	return NULL;
}

static int check_struct(struct json_object *value, const struct type *type, struct where *where)
{
	int r;

	if (!json_object_is_type(value, json_type_object))
		return misfit_type(where, "an object", value);
	vec_for_each(field, &type->fields) {
		r = check_at(json_object_object_get(value, field->name), field->type, where, separator(where), field->name, 0);
		if (r < 0)
			return r;
	}
	json_object_object_foreach(value, key, member) {
		(void)member;
		if (find_field(type, key))
			continue;
		enter(where, separator(where), key, 0);
		return misfit(where, "there is no such field");
	}
	return 0;
}

static int check_container(struct json_object *value, const struct type *type, struct where *where)
{
	int r = 0;

	if (type->kind == TYPE_LIST) {
		if (!json_object_is_type(value, json_type_array))
			return misfit_type(where, "a list", value);
		for (size_t i = 0; i < json_object_array_length(value) && r == 0; i++)
			r = check_at(json_object_array_get_idx(value, i), type->element, where, "%s[%zu]", "", i);
		return r;
	}
	if (!json_object_is_type(value, json_type_object))
		return misfit_type(where, "an object", value);
	json_object_object_foreach(value, key, member) {
		r = check_at(member, type->element, where, separator(where), key, 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_enum(struct json_object *value, const struct type *type, struct where *where)
{
	if (!json_object_is_type(value, json_type_string))
		return misfit_type(where, "a string", value);
	if (!find_field(type, json_object_get_string(value)))
		return misfit(where, "is none of the values there are");
	return 0;
}

static int check_plain(struct json_object *value, const struct type *type, struct where *where)
{
	switch (type->kind) {
	case TYPE_BOOL:
		return json_object_is_type(value, json_type_boolean) ? 0 : misfit_type(where, "true or false", value);
	case TYPE_INT:
		return json_object_is_type(value, json_type_int) ? 0 : misfit_type(where, "a whole number", value);
	case TYPE_FLOAT:
		return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double) ?
			       0 :
			       misfit_type(where, "a number", value);
	case TYPE_STRING:
		return json_object_is_type(value, json_type_string) ? 0 : misfit_type(where, "a string", value);
	default:
		return json_object_is_type(value, json_type_object) ? 0 : misfit_type(where, "an object", value);
	}
}

/* As deep as the value is, which whoever parsed it has bounded. */
static int check(struct json_object *value, const struct type *type, struct where *where)
{
	if (!value)
		return type->nullable ? 0 : misfit(where, "is missing");
	switch (type->kind) {
	case TYPE_NAMED:
		return check(value, type->named, where);
	case TYPE_STRUCT:
		return check_struct(value, type, where);
	case TYPE_ENUM:
		return check_enum(value, type, where);
	case TYPE_LIST:
	case TYPE_MAP:
		return check_container(value, type, where);
	default:
		return check_plain(value, type, where);
	}
}

int interface_check(const struct interface *interface, enum interface_part part, const char *name,
		    struct json_object *parameters, char *ret_where, struct vpmu_error *reterr)
{
	const struct member *member =
		interface_find(interface, part == INTERFACE_ERROR ? MEMBER_ERROR : MEMBER_METHOD, name);
	struct where where = { .path = ret_where, .reterr = reterr };
	const struct type *type;

	if (!member)
		return error_set(reterr, -ENOENT, "there is no '%s' in %s", name, interface->name);
	type = part == INTERFACE_REPLY ? member->out : member->in;
	ret_where[0] = '\0';
	if (parameters)
		return check_struct(parameters, type, &where);
	vec_for_each(field, &type->fields)
		if (!field->type->nullable)
			return check_at(NULL, field->type, &where, "%s", field->name, 0);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>
#include <stdlib.h>

#include "json_read.h"

struct json_object *json_member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

static struct json_object *typed(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value = json_member(object, key);

	return json_object_is_type(value, type) ? value : NULL;
}

const char *json_get_string_or_null(struct json_object *object, const char *key)
{
	struct json_object *value = typed(object, key, json_type_string);

	return value ? json_object_get_string(value) : NULL;
}

const char *json_get_string(struct json_object *object, const char *key)
{
	const char *string = json_get_string_or_null(object, key);

	return string ? string : "";
}

int64_t json_get_int(struct json_object *object, const char *key, int64_t otherwise)
{
	struct json_object *value = typed(object, key, json_type_int);

	return value ? json_object_get_int64(value) : otherwise;
}

uint64_t json_get_big(struct json_object *object, const char *key)
{
	const char *digits = json_get_string_or_null(object, key);

	if (digits)
		return strtoull(digits, NULL, 10);
	return (uint64_t)json_get_int(object, key, 0);
}

double json_get_double(struct json_object *object, const char *key, double otherwise)
{
	struct json_object *value = json_member(object, key);

	if (json_object_is_type(value, json_type_double) || json_object_is_type(value, json_type_int))
		return json_object_get_double(value);
	return otherwise;
}

bool json_get_bool(struct json_object *object, const char *key)
{
	return json_object_get_boolean(typed(object, key, json_type_boolean));
}

bool json_has(struct json_object *object, const char *key)
{
	return json_member(object, key);
}

size_t json_length(struct json_object *object, const char *key)
{
	struct json_object *array = typed(object, key, json_type_array);

	return array ? json_object_array_length(array) : 0;
}

struct json_object *json_item(struct json_object *object, const char *key, size_t i)
{
	return i < json_length(object, key) ? json_object_array_get_idx(json_member(object, key), i) : NULL;
}

const char *json_item_string(struct json_object *object, const char *key, size_t i)
{
	struct json_object *item = json_item(object, key, i);

	return json_object_is_type(item, json_type_string) ? json_object_get_string(item) : "";
}

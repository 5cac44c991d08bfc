/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>

#include "client/json.h"
#include "util/strbuf.h"
#include "util/utf8.h"

struct json_object *json_new_object(void)
{
	return json_object_new_object();
}

struct json_object *json_new_array(void)
{
	return json_object_new_array();
}

void json_put(struct json_object *object, const char *key, struct json_object *value)
{
	if (!object || json_object_object_add(object, key, value) < 0)
		json_object_put(value);
}

static struct json_object *new_string(const char *value)
{
	_strbuf_ struct strbuf text = {};

	if (!value)
		return NULL;
	utf8_add(&text, value);
	return text.failed ? NULL : json_object_new_string_len(text.n ? text.text : "", (int)text.n);
}

void json_put_string(struct json_object *object, const char *key, const char *value)
{
	json_put(object, key, new_string(value));
}

void json_put_bool(struct json_object *object, const char *key, bool value)
{
	json_put(object, key, json_object_new_boolean(value));
}

void json_put_int(struct json_object *object, const char *key, int64_t value)
{
	json_put(object, key, json_object_new_int64(value));
}

void json_put_big(struct json_object *object, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	json_put(object, key, json_object_new_string(digits));
}

void json_put_address(struct json_object *object, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "0x%" PRIx64, value);
	json_put(object, key, json_object_new_string(digits));
}

void json_put_percent(struct json_object *object, const char *key, double value)
{
	char digits[32];

	if (!isfinite(value)) {
		json_put_null(object, key);
		return;
	}
	snprintf(digits, sizeof(digits), "%.4f", value);
	json_put(object, key, json_object_new_double_s(value, digits));
}

void json_put_null(struct json_object *object, const char *key)
{
	json_put(object, key, NULL);
}

void json_append(struct json_object *array, struct json_object *value)
{
	if (!array || json_object_array_add(array, value) < 0)
		json_object_put(value);
}

void json_append_string(struct json_object *array, const char *value)
{
	json_append(array, new_string(value));
}

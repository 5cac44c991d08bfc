/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON values, built. A value is put into another (which then owns it) or ended with json_object_put(). Running out of
 * memory gives NULL, which every function here takes and passes on as `null`.
 */
#ifndef CLIENT_JSON_H
#define CLIENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

struct json_object *json_new_object(void);
struct json_object *json_new_array(void);

void json_put(struct json_object *object, const char *key, struct json_object *value);
void json_put_string(struct json_object *object, const char *key, const char *value); /* NULL = null */
void json_put_bool(struct json_object *object, const char *key, bool value);
void json_put_int(struct json_object *object, const char *key, int64_t value);
/* Decimal digits in a string: readers that keep numbers as doubles lose those above 2^53. */
void json_put_big(struct json_object *object, const char *key, uint64_t value);
void json_put_address(struct json_object *object, const char *key, uint64_t value); /* "0x…" */
void json_put_percent(struct json_object *object, const char *key, double value);
void json_put_null(struct json_object *object, const char *key);

void json_append(struct json_object *array, struct json_object *value);
void json_append_string(struct json_object *array, const char *value);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values out of JSON that came from elsewhere: a member that is not there, is null or has another type reads as its default.
 * Strings live as long as the object.
 */
#ifndef CLI_JSON_READ_H
#define CLI_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

const char *json_get_string(struct json_object *object, const char *key);		 /* "" */
const char *json_get_string_or_null(struct json_object *object, const char *key);
int64_t json_get_int(struct json_object *object, const char *key, int64_t otherwise);
uint64_t json_get_big(struct json_object *object, const char *key);			 /* digits in a string, or a number; 0 */
double json_get_double(struct json_object *object, const char *key, double otherwise);
bool json_get_bool(struct json_object *object, const char *key);			 /* false */
bool json_has(struct json_object *object, const char *key);			 /* there, and not null */

struct json_object *json_member(struct json_object *object, const char *key);	 /* NULL */
/* Members that are arrays: 0 and NULL if it is none. */
size_t json_length(struct json_object *object, const char *key);
struct json_object *json_item(struct json_object *object, const char *key, size_t i);
const char *json_item_string(struct json_object *object, const char *key, size_t i); /* "" */

#endif

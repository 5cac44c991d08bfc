/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON output. A value is built (client/json.h) and printed, which ends it.
 *
 * Long lists are printed item by item (json_list_*), so that their memory does not grow with
 * them.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "client/json.h"

/* One line on standard output. Takes @value. */
void json_print(struct json_object *value);

/* {MEMBERS OF @head, "@key": [item, item, …]}, one item a line. */
struct json_list {
	size_t n;
};
void json_list_begin(struct json_list *list, struct json_object *head, const char *key);
void json_list_item(struct json_list *list, struct json_object *item);
void json_list_end(struct json_list *list);
/* The same with one member behind the list. */
void json_list_end_with(struct json_list *list, const char *key, struct json_object *value);

#endif

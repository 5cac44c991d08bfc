/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>
#include <string.h>

#include "json.h"
#include "output.h"

#define FLAGS (JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

/* U+0080 to U+009F are fit for JSON, but a terminal may take them for the beginning of an escape sequence. */
static void add_safely(struct strbuf *line, const char *text, size_t n)
{
	const char *end = text + n, *c1;

	while ((c1 = memchr(text, 0xc2, (size_t)(end - text)))) {
		unsigned char second = c1 + 1 < end ? (unsigned char)c1[1] : 0;

		strbuf_add(line, text, (size_t)(c1 - text));
		if (second >= 0x80 && second < 0xa0)
			strbuf_addf(line, "\\u%04x", second);
		else
			strbuf_add(line, c1, 2);
		text = c1 + 2;
	}
	strbuf_add(line, text, (size_t)(end - text));
}

static void write_value(struct json_object *value, const char *before, const char *after)
{
	_strbuf_ struct strbuf line = {};
	size_t n = 0;
	const char *text = json_object_to_json_string_length(value, FLAGS, &n);

	strbuf_adds(&line, before);
	if (text)
		add_safely(&line, text, n);
	else
		line.failed = true;
	strbuf_adds(&line, after);
	output_write(&line);
	json_object_put(value);
}

void json_print(struct json_object *value)
{
	write_value(value, "", "\n");
}

static void write_text(const char *text)
{
	_strbuf_ struct strbuf line = {};

	strbuf_adds(&line, text);
	output_write(&line);
}

void json_list_begin(struct json_list *list, struct json_object *head, const char *key)
{
	list->n = 0;
	write_text("{\n");
	if (head) {
		json_object_object_foreach(head, name, value)
		{
			write_text(" \"");
			write_text(name);
			write_value(json_object_get(value), "\": ", ",\n");
		}
	}
	json_object_put(head);
	write_text(" \"");
	write_text(key);
	write_text("\": [");
}

void json_list_item(struct json_list *list, struct json_object *item)
{
	write_value(item, list->n++ ? ",\n  " : "\n  ", "");
}

static void end_list(const struct json_list *list)
{
	write_text(list->n ? "\n ]" : "]");
}

void json_list_end(struct json_list *list)
{
	end_list(list);
	write_text("\n}\n");
}

void json_list_end_with(struct json_list *list, const char *key, struct json_object *value)
{
	end_list(list);
	write_text(",\n \"");
	write_text(key);
	write_value(value, "\": ", "\n}\n");
}

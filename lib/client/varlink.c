/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json-c reads the values. What it lets pass (keys that come twice, NULs, surrogates in UTF-8, NaN, numbers that it clamps) is found by
 * two looks: one at the text before, which also bounds what reading it will cost, one at the tree after.
 */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/varlink.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/utf8.h"

#define FIRST_ROOM 4096

/* ---- the stream ---- */

void varlink_input_deinit(struct varlink_input *in)
{
	free(in->bytes);
	*in = (struct varlink_input){};
}

int varlink_input_reserve(struct varlink_input *in, size_t max_bytes, char **ret_at, size_t *ret_room)
{
	size_t want;
	char *bytes;

	if (in->n == 0 && in->room > FIRST_ROOM)
		varlink_input_deinit(in);
	if (in->start > 0) {
		memmove(in->bytes, in->bytes + in->start, in->n);
		in->start = 0;
	}
	if (in->n > max_bytes)
		return -EMSGSIZE;
	if (in->n == in->room) {
		want = in->room ? MIN(in->room * 2, max_bytes + 1) : FIRST_ROOM;
		bytes = realloc(in->bytes, want);
		if (!bytes)
			return -ENOMEM;
		in->bytes = bytes;
		in->room = want;
	}
	*ret_at = in->bytes + in->n;
	*ret_room = in->room - in->n;
	return 0;
}

void varlink_input_added(struct varlink_input *in, size_t n)
{
	in->n += n;
}

bool varlink_input_ready(struct varlink_input *in)
{
	const char *from = in->bytes + in->start;

	if (in->searched == in->n)
		return false;
	if (memchr(from + in->searched, '\0', in->n - in->searched))
		return true;
	in->searched = in->n;
	return false;
}

bool varlink_input_next(struct varlink_input *in, const char **ret_text, size_t *ret_n)
{
	const char *text = in->bytes + in->start, *end;

	if (!varlink_input_ready(in))
		return false;
	end = memchr(text + in->searched, '\0', in->n - in->searched);
	*ret_text = text;
	*ret_n = (size_t)(end - text);
	in->start += *ret_n + 1;
	in->n -= *ret_n + 1;
	in->searched = 0;
	return true;
}

/* ---- a message ---- */

/* What the text promises, if it is JSON. */
struct outline {
	size_t values;	/* at most; each comma or opening bracket begins one */
	size_t members; /* of all objects: a colon each */
};

/* Where the string that begins at @at (behind its quote) ends: at its quote; NULL if it does not, or is not UTF-8, or holds a NUL. */
static const char *skip_string(const char *at, const char *end)
{
	size_t n;

	for (; at < end && *at != '"'; at += n) {
		n = (unsigned char)*at < 0x20 ? 0 : utf8_character(at, (size_t)(end - at));
		if (n == 0 || (end - at >= 6 && memcmp(at, "\\u0000", 6) == 0))
			return NULL;
		if (*at == '\\')
			n = MIN(2, end - at);
	}
	return at < end ? at : NULL;
}

/* Bytes of the number that begins at @at; 0: a whole one that does not fit into 64 bits with a sign, which json-c would clamp. */
static size_t skip_number(const char *at, const char *end)
{
	bool whole = true, fits = true;
	int64_t value = 0;
	const char *p;

	for (p = at; p < end && *p && strchr("+-.0123456789eE", *p); p++) {
		int digit = *at == '-' ? '0' - *p : *p - '0';

		if (*p < '0' || *p > '9')
			whole = whole && p == at;
		else
			fits = fits && !__builtin_mul_overflow(value, 10, &value) && !__builtin_add_overflow(value, digit, &value);
	}
	return whole && !fits ? 0 : (size_t)(p - at);
}

static int outline(const char *text, size_t n, const struct varlink_limits *limits, struct outline *ret_outline,
		   struct vpmu_error *reterr)
{
	const char *end = text + n;
	size_t depth = 0;

	for (const char *at = text; at < end; at++) {
		if (*at == '"') {
			const char *quote = skip_string(at + 1, end);

			if (!quote)
				return error_set(reterr, -EBADMSG, "byte %zu begins a string that is not right",
						 (size_t)(at - text));
			at = quote;
		} else if (*at == '-' || (*at >= '0' && *at <= '9')) {
			size_t digits = skip_number(at, end);

			if (digits == 0)
				return error_set(reterr, -EBADMSG, "byte %zu begins a number beyond 64 bits with a sign",
						 (size_t)(at - text));
			at += digits - 1;
		} else if (!*at || !strchr("{}[]:,-+.0123456789eE \t\r\ntruefalsn", *at)) {
			/* 'NaN', "Infinity", 'quotes' and comments end here. */
			return error_set(reterr, -EBADMSG, "byte %zu does not belong into JSON",
					 (size_t)(at - text));
		}
		depth += *at == '{' || *at == '[';
		depth -= depth && (*at == '}' || *at == ']');
		if (depth > limits->max_depth)
			return error_set(reterr, -EMSGSIZE, "more than %u objects and lists in each other", limits->max_depth);
		ret_outline->values += *at == ',' || *at == '{' || *at == '[';
		ret_outline->members += *at == ':';
	}
	if (ret_outline->values > limits->max_values)
		return error_set(reterr, -EMSGSIZE, "the message has more than %zu values", limits->max_values);
	return 0;
}

/* Checks floating point numbers; counts members. Depth is bounded: the parser had a limit. */
static int walk(struct json_object *value, size_t *members, struct vpmu_error *reterr)
{
	int r = 0;

	switch (json_object_get_type(value)) {
	case json_type_object: {
		json_object_object_foreach(value, key, child) {
			(void)key;
			++*members;
			r = walk(child, members, reterr);
			if (r < 0)
				return r;
		}
		return 0;
	}
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(value) && r == 0; i++)
			r = walk(json_object_array_get_idx(value, i), members, reterr);
		return r;
	case json_type_double:
		if (!isfinite(json_object_get_double(value)))
			return error_set(reterr, -EBADMSG, "a number is too large");
		return 0;
	default:
		return 0;
	}
}

DEFINE_CLEANUP(struct json_object *, json_object_put)

static void free_tokener(struct json_tokener **tokener)
{
	if (*tokener)
		json_tokener_free(*tokener);
}

static int read_json(const char *text, size_t n, const struct varlink_limits *limits, struct json_object **ret_message,
		     struct vpmu_error *reterr)
{
	_cleanup_(free_tokener) struct json_tokener *tokener = json_tokener_new_ex((int)limits->max_depth + 2);
	struct json_object *message;
	enum json_tokener_error problem;

	if (!tokener)
		return error_oom(reterr);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	message = json_tokener_parse_ex(tokener, text, (int)n);
	problem = json_tokener_get_error(tokener);
	if (problem == json_tokener_continue)
		return error_set(reterr, -EBADMSG, "the JSON text ends too early");
	if (problem != json_tokener_success)
		return error_set(reterr, -EBADMSG, "byte %zu: %s", json_tokener_get_parse_end(tokener),
				 json_tokener_error_desc(problem));
	*ret_message = message;
	return 0;
}

int varlink_parse(const char *text, size_t n, const struct varlink_limits *limits, struct json_object **ret_message,
		  struct vpmu_error *reterr)
{
	_cleanup_(json_object_putp) struct json_object *message = NULL;
	struct outline promised = {};
	size_t members = 0;
	int r;

	if (n > limits->max_bytes || n > INT_MAX)
		return error_set(reterr, -EMSGSIZE, "the message is longer than %zu bytes", limits->max_bytes);
	r = outline(text, n, limits, &promised, reterr);
	if (r < 0)
		return r;
	r = read_json(text, n, limits, &message, reterr);
	if (r < 0)
		return r;
	if (!json_object_is_type(message, json_type_object))
		return error_set(reterr, -EBADMSG, "the message is no JSON object");
	r = walk(message, &members, reterr);
	if (r < 0)
		return r;
	if (members != promised.members)
		return error_set(reterr, -EBADMSG, "an object has a key twice");
	*ret_message = take_ptr(message);
	return 0;
}

void varlink_write(struct strbuf *out, struct json_object *message)
{
	size_t n;
	const char *text = json_object_to_json_string_length(message,
							     JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);

	if (!text) {
		out->failed = true;
		return;
	}
	strbuf_add(out, text, n);
	strbuf_addc(out, '\0');
}

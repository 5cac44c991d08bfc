/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes on a varlink socket: in pieces of any size, as messages, and back to bytes. The first byte says how large the pieces are. */
#include <errno.h>
#include <json-c/json.h>

#include "client/varlink.h"
#include "fuzz.h"
#include "util/macro.h"

static const struct varlink_limits limits = { .max_bytes = 4096, .max_depth = 16, .max_values = 500 };

/* What was read is written, read and written again: the same. */
static void check_message(const char *text, size_t n)
{
	_strbuf_ struct strbuf once = {}, twice = {};
	struct json_object *message, *again;
	char *exact = exact_copy(text, n);

	if (varlink_parse(exact, n, &limits, &message, NULL) == 0) {
		varlink_write(&once, message);
		HOLDS(!once.failed && once.n > 2 && strlen(once.text) == once.n - 1);
		/* Numbers with fractions may take more room than they came in. */
		if (once.n - 1 <= limits.max_bytes) {
			HOLDS(varlink_parse(once.text, once.n - 1, &limits, &again, NULL) == 0);
			varlink_write(&twice, again);
			HOLDS(twice.n == once.n && memcmp(once.text, twice.text, once.n) == 0);
			json_object_put(again);
		}
		json_object_put(message);
	}
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct varlink_input in = {};
	size_t piece = size ? bytes[0] + 1u : 1, n, room, used = 0;
	const char *text;
	char *at;
	int r = 0;

	for (size_t i = 1; i < size; i += n) {
		r = varlink_input_reserve(&in, limits.max_bytes, &at, &room);
		if (r < 0)
			break;
		HOLDS(room > 0);
		n = MIN(MIN(room, piece), size - i);
		memcpy(at, bytes + i, n);
		varlink_input_added(&in, n);
		while (varlink_input_next(&in, &text, &n)) {
			HOLDS(strlen(text) == n && n <= limits.max_bytes);
			HOLDS(memcmp(text, bytes + 1 + used, n + 1) == 0);
			used += n + 1;
			check_message(text, n);
		}
		n = MIN(MIN(room, piece), size - i);
	}
	HOLDS(r == 0 || (r == -EMSGSIZE && in.n > limits.max_bytes));
	varlink_input_deinit(&in);
	return 0;
}

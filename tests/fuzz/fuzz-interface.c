/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The description of a varlink interface and, behind a NUL, a message whose parameters its first method is asked to take. (Ours is
 * a file of our own; that the reader stands everything is for the day when it reads somebody else's.)
 */
#include <errno.h>
#include <json-c/json.h>

#include "client/varlink.h"
#include "daemon/interface.h"
#include "fuzz.h"

static const struct varlink_limits limits = { .max_bytes = 65536, .max_depth = 32, .max_values = 5000 };

static void check_call(const struct interface *interface, const char *text, size_t n)
{
	const char *method = interface_member(interface, INTERFACE_CALL, 0);
	char where[INTERFACE_WHERE_BYTES];
	struct json_object *message;
	struct vpmu_error error = {};
	int r;

	if (!method || varlink_parse(text, n, &limits, &message, NULL) < 0)
		return;
	r = interface_check(interface, INTERFACE_CALL, method, message, where, &error);
	HOLDS(r == 0 || (r == -EINVAL && strlen(where) < sizeof(where) && error.text[0]));
	json_object_put(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = exact_copy(bytes, size);
	const char *nul = memchr(text, '\0', size);
	size_t n = nul ? (size_t)(nul - text) : size;
	struct interface *interface;

	if (interface_parse(text, n, &interface, NULL) == 0) {
		HOLDS(strlen(interface_text(interface)) == n);
		for (size_t i = 0; interface_member(interface, INTERFACE_ERROR, i); i++)
			HOLDS(interface_has(interface, INTERFACE_ERROR, interface_member(interface, INTERFACE_ERROR, i)));
		if (nul)
			check_call(interface, nul + 1, size - n - 1);
		interface_free(interface);
	}
	free(text);
	return 0;
}

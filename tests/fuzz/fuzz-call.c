/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A message as vpmud's dispatcher sees it, up to the point where a method would be run: {"method": "org.vpmu.X", "parameters": {…}}.
 * What passes the check has the types that methods then take for granted.
 */
#include <errno.h>
#include <json-c/json.h>

#include "client/varlink.h"
#include "daemon/descriptions.h"
#include "daemon/interface.h"
#include "fuzz.h"

static const struct varlink_limits limits = { .max_bytes = 65536, .max_depth = 32, .max_values = 20000 };

static void check(const struct interface *interface, struct json_object *message)
{
	struct json_object *method = json_object_object_get(message, "method"),
			   *parameters = json_object_object_get(message, "parameters"), *guests;
	char where[INTERFACE_WHERE_BYTES];
	struct vpmu_error error = {};
	int r;

	if (!json_object_is_type(method, json_type_string) ||
	    !(json_object_is_type(parameters, json_type_object) || !parameters))
		return;
	r = interface_check(interface, INTERFACE_CALL, json_object_get_string(method), parameters, where, &error);
	HOLDS(r == 0 || r == -ENOENT || (r == -EINVAL && strlen(where) < sizeof(where) && error.text[0]));
	guests = json_object_object_get(parameters, "guests");
	if (r < 0 || !guests)
		return;
	HOLDS(json_object_is_type(guests, json_type_array));
	for (size_t i = 0; i < json_object_array_length(guests); i++)
		HOLDS(json_object_is_type(json_object_array_get_idx(guests, i), json_type_string));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct interface *interface;
	char *text = exact_copy(bytes, size);
	struct json_object *message;

	if (!interface)
		HOLDS(interface_parse(description_org_vpmu, strlen(description_org_vpmu), &interface, NULL) == 0);
	if (varlink_parse(text, size, &limits, &message, NULL) == 0) {
		check(interface, message);
		json_object_put(message);
	}
	free(text);
	return 0;
}

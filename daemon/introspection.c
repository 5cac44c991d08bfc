/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "call_private.h"
#include "introspection.h"
#include "server.h"

static int get_info(struct call *call, struct server *server)
{
	struct json_object *info = json_new_object(), *interfaces = json_new_array();

	json_put_string(info, "vendor", "libvpmu");
	json_put_string(info, "product", "vpmud");
	json_put_string(info, "version", VPMU_VERSION_STRING);
	json_put_string(info, "url", "man:vpmud(8)"); /* as units name their documentation: systemd.unit(5) */
	json_append_string(interfaces, interface_name(server_service(server)));
	json_append_string(interfaces, interface_name(server_interface(server)));
	json_put(info, "interfaces", interfaces);
	return call_reply(call, info);
}

static int get_description(struct call *call, struct server *server)
{
	const struct interface *known[] = { server_interface(server), server_service(server) };
	const char *wanted = call_string(call, "interface");
	struct json_object *answer;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!streq(wanted, interface_name(known[i])))
			continue;
		answer = json_new_object();
		json_put_string(answer, "description", interface_text(known[i]));
		return call_reply(call, answer);
	}
	return call_fail_service(call, "InterfaceNotFound", "interface", wanted);
}

int introspection_run(struct call *call, const char *method, struct server *server)
{
	return streq(method, "GetInfo") ? get_info(call, server) : get_description(call, server);
}

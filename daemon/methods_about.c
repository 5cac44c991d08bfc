/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Capabilities and Stats: what this machine can do, what vpmud costs. */
#include <errno.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <vpmu/vpmu.h>

#include "abilities.h"
#include "access.h"
#include "arbiter.h"
#include "domains.h"
#include "methods.h"
#include "sessions.h"
#include "usage.h"
#include "util/error.h"
#include "util/macro.h"
#include "watcher.h"

/* ---- Capabilities ---- */

struct question {
	struct call *call;
	struct manager *manager;
};

static struct json_object *abilities_json(const struct vpmu_host *host)
{
	struct json_object *abilities = json_new_array();

	for (int i = 0; i < VPMU_ABILITY_COUNT; i++) {
		const struct vpmu_ability_info *info = vpmu_host_ability(host, i);
		struct json_object *ability = json_new_object();

		/* vpmud runs no guests, and its unit gives it no devices. */
		if (i == VPMU_ABILITY_KVM && !info->ok)
			continue;
		json_put_string(ability, "name", info->name);
		json_put_string(ability, "status", info->ok ? "ok" : "missing");
		json_put_string(ability, "detail", info->detail);
		json_put_string(ability, "hint", info->how);
		json_append(abilities, ability);
	}
	return abilities;
}

static struct json_object *methods_json(const struct question *question)
{
	struct json_object *methods = json_new_array();
	const struct method *method;

	for (size_t i = 0; (method = method_at(i)); i++)
		if (method->run &&
		    access_may(question->manager->access, call_peer(question->call), method->right))
			json_append_string(methods, method->name);
	return methods;
}

static struct json_object *capabilities_json(const struct question *question, const struct vpmu_host *host)
{
	struct json_object *reply = json_new_object();
	const char *why = NULL;
	enum vpmu_source source = vpmu_host_source(host, &why);
	struct utsname name = {};
	uint32_t n_counters;
	unsigned int fixed;

	uname(&name);
	vpmu_host_counters(host, &n_counters, &fixed);
	json_put_string(reply, "version", vpmu_version());
	json_put_string(reply, "hostname", name.nodename);
	json_put_string(reply, "kernel", name.release);
	json_put(reply, "abilities", abilities_json(host));
	json_put_string(reply, "source", vpmu_source_name(source));
	json_put_string(reply, "source_why", why);
	if (n_counters && question->manager->arbiter) {
		json_put_int(reply, "hardware_counters", n_counters);
		json_put_int(reply, "free_counters", arbiter_free_counters(question->manager->arbiter));
	}
	json_put_bool(reply, "mediated_pmu", !vpmu_host_ability(host, VPMU_ABILITY_MEDIATED_PMU)->ok);
	json_put(reply, "methods", methods_json(question));
	return reply;
}

static void answer_capabilities(const struct vpmu_host *host, const struct vpmu_error *error, void *data)
{
	struct question *question = data;

	if (host)
		(void)call_reply(question->call, capabilities_json(question, host));
	else
		(void)call_fail_with(question->call, error, NULL);
	call_unref(question->call);
	free(question);
}

int method_capabilities(struct call *call, struct manager *manager)
{
	struct question *question = calloc(1, sizeof(*question));
	int r;

	if (!question)
		return -ENOMEM;
	*question = (struct question){ .call = call_ref(call), .manager = manager };
	r = abilities_ask(manager->abilities, answer_capabilities, question);
	if (r < 0) {
		call_unref(question->call);
		free(question);
	}
	return r;
}

/* ---- Stats ---- */

static const char *libvirt_word(const struct manager *manager, const char **ret_why)
{
	switch (watcher_state(manager->watcher, ret_why)) {
	case WATCHER_CONNECTED:
		return "connected";
	case WATCHER_CONNECTING:
		return "away";
	default:
		return "off";
	}
}

/* Guests and sessions as a caller sees them who is tied to certain guests. */
static void count_visible(const struct manager *manager, const struct peer *peer, struct usage *usage)
{
	const struct domain *domain;
	const struct session *session;

	usage->guests = usage->vcpus = usage->sessions = 0;
	for (size_t i = 0; (domain = domains_get(manager->domains, i)); i++) {
		if (!domain->running || !access_may_see(manager->access, peer, domain->name, domain->uuid))
			continue;
		usage->guests++;
		usage->vcpus += (uint32_t)domain->guest.n_vcpus;
	}
	for (size_t i = 0; (session = sessions_get(manager->sessions, i)); i++)
		usage->sessions += session_may_see(session, peer);
}

/* What tells of all guests, or of who else asks. */
static void put_node(struct json_object *json, const struct usage *usage, const char *libvirt_why)
{
	json_put_big(json, "cpu_ns", usage->cpu_ns);
	json_put_big(json, "memory_bytes", usage->memory_bytes);
	json_put_int(json, "open_files", usage->open_files);
	json_put_string(json, "libvirt_why", libvirt_why);
	json_put_int(json, "connections", usage->connections);
	json_put_big(json, "calls", usage->calls);
	json_put_big(json, "calls_failed", usage->calls_failed);
	json_put_big(json, "clients_dropped", usage->clients_dropped);
	json_put_big(json, "samples", usage->samples);
	json_put_big(json, "lost", usage->lost);
	json_put_big(json, "store_bytes", usage->store_bytes);
	if (usage->store_oldest_ms)
		json_put_int(json, "store_oldest_ms", usage->store_oldest_ms);
	json_put_big(json, "store_errors", usage->store_errors);
}

int method_stats(struct call *call, struct manager *manager)
{
	struct json_object *reply = json_new_object(), *json = json_new_object();
	const char *libvirt, *why = NULL;
	struct usage usage;

	usage_collect(manager, &usage);
	libvirt = libvirt_word(manager, &why);
	if (access_sees_all(manager->access, call_peer(call)))
		put_node(json, &usage, why);
	else
		count_visible(manager, call_peer(call), &usage);
	json_put_int(json, "uptime_ms", (int64_t)usage.uptime_ms);
	json_put_string(json, "libvirt", libvirt);
	json_put_int(json, "guests", usage.guests);
	json_put_int(json, "vcpus", usage.vcpus);
	json_put_int(json, "sessions", usage.sessions);
	json_put(reply, "usage", json);
	return call_reply(call, reply);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>

#include "client/json.h"
#include "guest_select.h"
#include "guest_views.h"
#include "methods.h"
#include "subscriptions.h"

/* The guests that are meant; NULL when out of memory. */
static struct json_object *list(const struct manager *manager, const struct peer *peer, const char *const *patterns,
				size_t n)
{
	struct json_object *guests = json_new_array();
	const struct domain *domain;

	for (size_t i = 0; guests && (domain = domains_get(manager->domains, i)); i++) {
		const struct guest_view *view;

		if (!guest_selected(domain, manager->access, peer, patterns, n))
			continue;
		view = guest_views_get(manager->guest_views, domain);
		if (!view) {
			json_object_put(guests);
			return NULL;
		}
		json_append(guests, guest_view_json(view));
	}
	return guests;
}

int method_list_guests(struct call *call, struct manager *manager)
{
	_free_ const char **patterns = NULL;
	struct json_object *reply, *guests;
	size_t n;
	int r = guest_patterns(call, "guests", &patterns, &n);

	if (r <= 0)
		return r;
	guests = list(manager, call_peer(call), patterns, n);
	if (!guests)
		return -ENOMEM;
	reply = json_new_object();
	json_put(reply, "guests", guests);
	return call_reply(call, reply);
}

int method_subscribe(struct call *call, struct manager *manager)
{
	const char **patterns;
	size_t n;
	int r = guest_patterns(call, "guests", &patterns, &n);

	return r <= 0 ? r : subscriptions_add(manager->subscriptions, call, patterns, n);
}

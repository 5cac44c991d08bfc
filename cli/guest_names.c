/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest_names.h"
#include "json_read.h"

/* So many names help; more are what 'vpmu list' is for. */
#define NAMES_MAX 8

static void add_name(struct strbuf *names, size_t i, size_t n, const char *name)
{
	if (i < NAMES_MAX)
		strbuf_addf(names, "%s%s", i ? ", " : "", name);
	else if (i == NAMES_MAX)
		strbuf_addf(names, " and %zu more ('vpmu list' shows all)", n - i);
}

enum status say_which_guest(const struct vpmu_guests *guests, const char *more)
{
	_strbuf_ struct strbuf names = {};
	size_t n = vpmu_guests_count(guests);

	for (size_t i = 0; i < n; i++)
		add_name(&names, i, n, vpmu_guests_get(guests, i)->name);
	if (!names.n)
		return say_usage("which guest? None was found to be running%s", more);
	return say_usage("which guest? Running: %s%s", names.text, more);
}

enum status say_which_remote_guest(struct vpmu_client *client)
{
	_reply_ struct json_object *reply = NULL;
	_strbuf_ struct strbuf names = {};
	struct vpmu_error error = {};
	size_t n;

	if (remote_call(client, "ListGuests", NULL, &reply, &error) < 0)
		return say_error(&error);
	n = json_length(reply, "guests");
	for (size_t i = 0; i < n; i++)
		add_name(&names, i, n, json_get_string(json_item(reply, "guests", i), "name"));
	if (!names.n)
		return say_usage("which guest? vpmud knows none that this user may see");
	return say_usage("which guest? vpmud knows: %s", names.text);
}

const char *guest_of_pid(const struct vpmu_guests *guests, pid_t pid)
{
	for (size_t i = 0; i < vpmu_guests_count(guests); i++)
		if (vpmu_guests_get(guests, i)->pid == pid)
			return vpmu_guests_get(guests, i)->name;
	return NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which guests a session is of: its patterns, what its owner may see, and what comes and goes meanwhile. */
#include <errno.h>
#include <string.h>

#include "access.h"
#include "session.h"
#include "util/error.h"
#include "util/macro.h"

bool session_wants(const struct session *session, const struct domain *domain)
{
	if (session->node_wide || !access_may_see(session->all->manager->access, &session->owner, domain->name,
						  domain->uuid))
		return false;
	vec_for_each (pattern, &session->guests)
		if (domain_matches(domain, *pattern))
			return true;
	return session->guests.n == 0;
}

static struct session_guest *find_seen(const struct session *session, const struct domain *domain)
{
	vec_for_each (guest, &session->seen)
		if (guest->id == domain->id)
			return guest;
	return NULL;
}

static int note_seen(struct session *session, const struct domain *domain)
{
	struct session_guest guest = { domain->id, strdup(domain->name), strdup(domain->uuid) };

	if (guest.name && guest.uuid && vec_push(&session->seen, guest))
		return 0;
	free(guest.name);
	free(guest.uuid);
	return -ENOMEM;
}

int session_add_guest(struct session *session, const struct domain *domain)
{
	int r = find_seen(session, domain) ? 0 : note_seen(session, domain);

	return r < 0 ? r : runner_add_guest(session->runner, &domain->guest);
}

static void replace(char **text, const char *with)
{
	char *copy = streq(*text, with) ? NULL : strdup(with);

	if (!copy)
		return;
	free(*text);
	*text = copy;
}

/* A guest may have got a name that some who profile it may not see. */
static void on_renamed(struct sessions *sessions, const struct domain *domain)
{
	vec_for_each (session, &sessions->list) {
		struct session_guest *guest = find_seen(*session, domain);

		if (!guest)
			continue;
		replace(&guest->name, domain->name);
		replace(&guest->uuid, domain->uuid);
	}
	sessions_reload(sessions);
}

/* To all sessions that want it; @new: and did not have it yet. */
static void give(struct sessions *sessions, const struct domain *domain, bool new)
{
	vec_for_each (session, &sessions->list)
		if ((*session)->runner && !(*session)->runner_ended && session_wants(*session, domain) &&
		    !(new && find_seen(*session, domain)) && session_add_guest(*session, domain) < 0)
			session_set_why(*session, "out of memory: a guest is left out");
}

void sessions_on_domain(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu, void *data)
{
	struct sessions *sessions = data;

	(void)vcpu;
	if (change == DOMAIN_CHANGED)
		on_renamed(sessions, domain);
	if (change == DOMAIN_STARTED || change == DOMAIN_VCPU_APPEARED || change == DOMAIN_VCPU_GONE)
		give(sessions, domain, false);
	else if (change == DOMAIN_CHANGED && domain->running)
		give(sessions, domain, true); /* it may have got a name that a session waits for */
}

/* ---- before the start ---- */

int sessions_check_guests(struct sessions *sessions, const struct session_wishes *wishes, struct session_refusal *refusal)
{
	const struct manager *manager = sessions->manager;

	if (wishes->node_wide && wishes->n_guests) {
		refusal->subject = strdup("guests");
		return error_set(&refusal->error, -EINVAL, "whole CPUs or certain guests, not both");
	}
	if (wishes->node_wide && !access_sees_all(manager->access, wishes->owner))
		return error_set(&refusal->error, -EPERM, "only who sees all guests may profile whole CPUs");
	for (size_t i = 0; i < wishes->n_guests; i++) {
		size_t n = domains_count(manager->domains);
		bool found = strpbrk(wishes->guests[i], "*?") != NULL;

		for (size_t j = 0; j < n && !found; j++) {
			const struct domain *domain = domains_get(manager->domains, j);

			found = domain_matches(domain, wishes->guests[i]) &&
				access_may_see(manager->access, wishes->owner, domain->name, domain->uuid);
		}
		if (!found) {
			refusal->subject = strdup(wishes->guests[i]);
			error_set(&refusal->error, -ENOENT, "no guest '%s'", wishes->guests[i]);
			error_hint(&refusal->error, "ListGuests tells which there are");
			return -ENOENT;
		}
	}
	return 0;
}

/* What ends when no guest runs begins with one that does. */
int session_check_running(const struct session *session, struct session_refusal *refusal)
{
	const struct domains *domains = session->all->manager->domains;

	if (!session->ends_with_guests || session->node_wide)
		return 0;
	for (size_t i = 0; i < domains_count(domains); i++)
		if (domains_get(domains, i)->running && session_wants(session, domains_get(domains, i)))
			return 0;
	if (session->guests.n)
		refusal->subject = strdup(session->guests.items[0]);
	if (session->guests.n == 1)
		return error_set(&refusal->error, -ENOENT, "guest '%s' does not run", session->guests.items[0]);
	return error_set(&refusal->error, -ENOENT, "none of the guests runs");
}

/* ---- what can be asked ---- */

void session_active_guests(const struct session *session, void (*fn)(const struct domain *domain, void *data), void *data)
{
	const struct domains *domains = session->all->manager->domains;

	if (!session->runner || session->runner_ended)
		return;
	for (size_t i = 0; i < domains_count(domains); i++) {
		const struct domain *domain = domains_get(domains, i);

		if (domain->running && (session->node_wide || session_wants(session, domain)))
			fn(domain, data);
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <strings.h>

#include "domains_private.h"

static bool is_libvirt_uuid(const struct entry *entry, const void *uuid)
{
	return entry->domain.libvirt && strcasecmp(entry->domain.uuid, uuid) == 0;
}

/* A guest that was found in /proc before libvirt told of it. */
static bool is_same_guest(const struct entry *entry, const void *of_libvirt)
{
	return !entry->domain.libvirt && libvirt_means(of_libvirt, &entry->domain.guest, entry->trusted);
}

/* What was taken for the domain before libvirt told which process it is. */
static bool is_another_process(const struct entry *entry, const struct libvirt_domain *of_libvirt)
{
	return entry->domain.running && of_libvirt->pid > 0 && of_libvirt->pid != entry->domain.guest.pid &&
	       libvirt_says_it_runs(of_libvirt->state);
}

/* After a look: is the process there of which libvirt speaks? */
static void judge(struct domains *domains, struct entry *entry)
{
	bool changed = false;

	entry->missing = !entry->domain.running && libvirt_says_it_runs(entry->domain.state);
	entry_explain(entry, &changed);
	if (changed)
		domains_tell(domains, DOMAIN_CHANGED, entry, NULL);
}

static int update(struct domains *domains, struct entry *entry, const struct libvirt_domain *of_libvirt)
{
	bool renamed = false, changed = !entry->domain.libvirt;
	int r;

	entry->domain.libvirt = true;
	entry->libvirt_pid = of_libvirt->pid;
	r = text_update(&entry->domain.name, of_libvirt->name, &renamed);
	if (r == 0)
		r = text_update(&entry->domain.uuid, of_libvirt->uuid, &changed);
	if (r == 0)
		r = text_update(&entry->domain.state, of_libvirt->state, &changed);
	entry_name_guest(entry);
	if (renamed)
		domains_sort(domains);
	if (renamed || changed)
		domains_tell(domains, DOMAIN_CHANGED, entry, NULL);
	return r;
}

int domains_libvirt_has(struct domains *domains, const struct libvirt_domain *of_libvirt)
{
	struct entry *entry = domains_find(domains, is_libvirt_uuid, of_libvirt->uuid);
	int r = 0;

	if (entry && is_another_process(entry, of_libvirt))
		domains_stop_guest(domains, entry);
	if (!entry)
		entry = domains_find(domains, is_same_guest, of_libvirt);
	if (entry)
		r = update(domains, entry, of_libvirt);
	else
		entry = domains_add(domains, of_libvirt->name, of_libvirt->uuid, of_libvirt->state, true);
	if (!entry)
		return -ENOMEM;
	entry->told = true;
	entry->libvirt_pid = of_libvirt->pid;
	if (domains->listing)
		return r;
	if (!entry->domain.running && libvirt_says_it_runs(entry->domain.state)) {
		domains_look(domains);
		domains_join(domains); /* it may have been there before, unclaimed */
	}
	judge(domains, entry);
	return r;
}

/* Its process may be there a little longer, or for good: then it is one that libvirt does not manage. */
static void lose(struct domains *domains, struct entry *entry)
{
	entry->domain.libvirt = false;
	entry->missing = false;
	if (entry->domain.running && domains->other_guests)
		domains_tell(domains, DOMAIN_CHANGED, entry, NULL);
	else if (entry->domain.running)
		domains_stop_guest(domains, entry);
	else
		domains_drop(domains, entry);
}

void domains_libvirt_lost(struct domains *domains, const char *uuid)
{
	struct entry *entry;

	domains_look(domains);
	entry = domains_find(domains, is_libvirt_uuid, uuid);
	if (entry)
		lose(domains, entry);
}

void domains_libvirt_rebooted(struct domains *domains, const char *uuid)
{
	struct entry *entry = domains_find(domains, is_libvirt_uuid, uuid);

	if (entry)
		domains_set_kernel(domains, entry->domain.id, NULL, NULL);
}

void domains_libvirt_begin(struct domains *domains)
{
	domains->listing = true;
	vec_for_each(entry, &domains->entries)
		(*entry)->told = false;
}

void domains_libvirt_end(struct domains *domains)
{
	domains->listing = false;
	domains_look(domains);
	domains_join(domains);
	for (size_t i = domains->entries.n; i-- > 0;) {
		struct entry *entry = domains->entries.items[i];

		if (entry->domain.libvirt && !entry->told)
			lose(domains, entry);
		else if (entry->domain.libvirt)
			judge(domains, entry);
	}
}

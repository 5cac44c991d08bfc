/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "domains_private.h"
#include "util/error.h"
#include "util/macro.h"

/* ---- the list ---- */

static int by_name(const void *a, const void *b)
{
	const struct domain *x = &(*(struct entry *const *)a)->domain, *y = &(*(struct entry *const *)b)->domain;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->id > y->id) - (x->id < y->id);
}

void domains_sort(struct domains *domains)
{
	if (domains->entries.n)
		qsort(domains->entries.items, domains->entries.n, sizeof(struct entry *), by_name);
}

void domains_tell(struct domains *domains, enum domain_change change, const struct entry *entry,
		  const struct vpmu_vcpu_info *vcpu)
{
	size_t n = domains->listeners.n, kept = 0;

	domains->telling++;
	for (size_t i = 0; i < n; i++) {
		struct listener listener = domains->listeners.items[i];

		if (listener.fn)
			listener.fn(change, &entry->domain, vcpu, listener.data);
	}
	if (--domains->telling > 0)
		return;
	vec_for_each(listener, &domains->listeners)
		if (listener->fn)
			domains->listeners.items[kept++] = *listener;
	domains->listeners.n = kept;
}

void entry_explain(struct entry *entry, bool *ret_changed)
{
	const char *why = entry->kernel_why;

	if (entry->missing)
		why = "libvirt says that it runs, but no process here is it";
	/* Out of memory the old line stands. */
	(void)text_update(&entry->domain.why, why, ret_changed);
}

struct entry *domains_find(struct domains *domains, bool (*is)(const struct entry *entry, const void *key),
			   const void *key)
{
	vec_for_each(entry, &domains->entries)
		if (is(*entry, key))
			return *entry;
	return NULL;
}

struct entry *domains_add(struct domains *domains, const char *name, const char *uuid, const char *state, bool libvirt)
{
	_cleanup_(entry_freep) struct entry *entry = entry_new(domains->last_id + 1, name, uuid, state);
	struct entry *added = entry;

	if (!entry)
		return NULL;
	entry->domain.libvirt = libvirt;
	if (!vec_push(&domains->entries, entry))
		return NULL;
	domains->last_id++;
	entry = NULL; /* now the vector's */
	domains_sort(domains);
	domains_tell(domains, DOMAIN_APPEARED, added, NULL);
	return added;
}

void domains_drop(struct domains *domains, struct entry *entry)
{
	size_t kept = 0;

	vec_for_each(other, &domains->entries)
		if (*other != entry)
			domains->entries.items[kept++] = *other;
	domains->entries.n = kept;
	domains_tell(domains, DOMAIN_GONE, entry, NULL);
	entry_free(entry);
}

/* ---- for everybody ---- */

int domains_new(sd_event *loop, const struct config *config, const char *proc_path, struct domains **ret_domains,
		struct vpmu_error *reterr)
{
	_cleanup_(domains_freep) struct domains *domains = calloc(1, sizeof(*domains));
	VPMU_OPTS(vpmu_guests_opts, opts, .proc_path = proc_path);
	int r;

	if (!domains)
		return error_oom(reterr);
	domains->loop = sd_event_ref(loop);
	domains->other_guests = config->other_guests;
	domains->real_proc = !proc_path;
	domains->proc_path = strdup(proc_path ? proc_path : "/proc");
	if (!domains->proc_path)
		return error_oom(reterr);
	qemu_users_find(&domains->qemu_users);
	r = vpmu_guests_new(&opts, &domains->guests, reterr);
	if (r < 0)
		return r;
	r = sd_event_add_time_relative(loop, &domains->timer, CLOCK_MONOTONIC, DOMAINS_LOOK_EVERY_NS / 1000, 100000, domains_on_timer,
				       domains);
	if (r < 0)
		return error_errno(reterr, r, "set", "a timer");
	domains_join(domains);
	*ret_domains = take_ptr(domains);
	return 0;
}

struct domains *domains_free(struct domains *domains)
{
	if (!domains)
		return NULL;
	vec_for_each(entry, &domains->entries)
		entry_free(*entry);
	vec_free(&domains->entries);
	vec_free(&domains->listeners);
	sd_event_source_disable_unref(domains->timer);
	vpmu_guests_free(domains->guests);
	free(domains->proc_path);
	sd_event_unref(domains->loop);
	free(domains);
	return NULL;
}

void domains_reload(struct domains *domains, const struct config *config)
{
	domains->other_guests = config->other_guests;
	qemu_users_find(&domains->qemu_users);
	for (size_t i = domains->entries.n; !domains->other_guests && i-- > 0;)
		if (!domains->entries.items[i]->domain.libvirt)
			domains_stop_guest(domains, domains->entries.items[i]);
	domains_join(domains);
}

int domains_listen(struct domains *domains, domain_fn fn, void *data)
{
	struct listener listener = { .id = domains->last_listener + 1, .fn = fn, .data = data };

	if (!vec_push(&domains->listeners, listener))
		return -ENOMEM;
	return ++domains->last_listener;
}

void domains_unlisten(struct domains *domains, int id)
{
	size_t kept = 0;

	vec_for_each(listener, &domains->listeners)
		if (listener->id == id)
			listener->fn = NULL;
	if (domains->telling)
		return; /* who tells sweeps up */
	vec_for_each(listener, &domains->listeners)
		if (listener->fn)
			domains->listeners.items[kept++] = *listener;
	domains->listeners.n = kept;
}

size_t domains_count(const struct domains *domains)
{
	return domains->entries.n;
}

const struct domain *domains_get(const struct domains *domains, size_t i)
{
	return i < domains->entries.n ? &domains->entries.items[i]->domain : NULL;
}

static struct entry *entry_by_id(const struct domains *domains, uint64_t id)
{
	vec_for_each(entry, &domains->entries)
		if ((*entry)->domain.id == id)
			return *entry;
	return NULL;
}

const struct domain *domains_by_id(const struct domains *domains, uint64_t id)
{
	const struct entry *entry = entry_by_id(domains, id);

	return entry ? &entry->domain : NULL;
}

void domains_set_kernel(struct domains *domains, uint64_t id, const char *release, const char *why)
{
	struct entry *entry = entry_by_id(domains, id);
	bool changed = false;

	if (!entry || !entry->domain.running)
		return;
	if (text_replace(&entry->kernel_why, why) < 0 || text_update(&entry->domain.kernel, release, &changed) < 0)
		return;
	entry_explain(entry, &changed);
	if (changed)
		domains_tell(domains, DOMAIN_CHANGED, entry, NULL);
}

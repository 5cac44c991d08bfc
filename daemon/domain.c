/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "domain.h"
#include "pattern.h"
#include "util/cleanup.h"
#include "util/macro.h"

struct entry *entry_new(uint64_t id, const char *name, const char *uuid, const char *state)
{
	_cleanup_(entry_freep) struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->domain.id = id;
	entry->pidfd = -1;
	if (text_replace(&entry->domain.name, name) < 0 || text_replace(&entry->domain.uuid, uuid) < 0 ||
	    text_replace(&entry->domain.state, state) < 0)
		return NULL;
	entry_name_guest(entry);
	return take_ptr(entry);
}

struct entry *entry_free(struct entry *entry)
{
	if (!entry)
		return NULL;
	sd_event_source_disable_unref(entry->death);
	closep(&entry->pidfd);
	free(entry->domain.name);
	free(entry->domain.uuid);
	free(entry->domain.state);
	free(entry->domain.kernel);
	free(entry->domain.why);
	free(entry->kernel_why);
	free(entry->exe);
	free(entry->vcpus);
	free(entry);
	return NULL;
}

int text_replace(char **text_at, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return -ENOMEM;
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	free(*text_at);
	*text_at = copy;
	return 0;
}

int text_update(char **text_at, const char *text, bool *ret_changed)
{
	_free_ char *new = NULL;
	int r = text_replace(&new, text);

	if (r < 0)
		return r;
	if (!new == !*text_at && (!new || streq(new, *text_at)))
		return 0;
	free(*text_at);
	*text_at = take_ptr(new);
	*ret_changed = true;
	return 0;
}

void entry_name_guest(struct entry *entry)
{
	entry->domain.guest.name = entry->domain.name;
	entry->domain.guest.uuid = entry->domain.uuid;
	entry->domain.guest.exe = entry->exe ? entry->exe : "";
}

int entry_take_guest(struct entry *entry, const struct vpmu_guest_info *guest)
{
	struct vpmu_guest_info *mine = &entry->domain.guest;

	if (text_replace(&entry->exe, guest->exe) < 0)
		return -ENOMEM;
	mine->pid = guest->pid;
	mine->start_ticks = guest->start_ticks;
	mine->accel = guest->accel;
	entry_name_guest(entry);
	return 0;
}

int entry_take_vcpus(struct entry *entry, const struct vpmu_guest_info *guest, struct vpmu_vcpu_info **ret_old,
		     size_t *ret_n)
{
	struct vpmu_vcpu_info *copy = calloc(guest->n_vcpus + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (guest->n_vcpus)
		memcpy(copy, guest->vcpus, guest->n_vcpus * sizeof(*copy));
	*ret_old = entry->vcpus;
	*ret_n = entry->domain.guest.n_vcpus;
	entry->domain.guest.vcpus = entry->vcpus = copy;
	entry->domain.guest.n_vcpus = guest->n_vcpus;
	return 0;
}

bool libvirt_says_it_runs(const char *state)
{
	static const char *const alive[] = { "running", "blocked", "paused", "pmsuspended", "shutdown" };

	for (size_t i = 0; i < ARRAY_SIZE(alive); i++)
		if (streq(state, alive[i]))
			return true;
	return false;
}

bool libvirt_means(const struct libvirt_domain *of_libvirt, const struct vpmu_guest_info *guest, bool trusted)
{
	bool have_uuids = of_libvirt->uuid[0] && guest->uuid[0];

	if (have_uuids && strcasecmp(of_libvirt->uuid, guest->uuid) != 0)
		return false;
	if (of_libvirt->pid > 0)
		return of_libvirt->pid == guest->pid;
	if (!trusted || have_uuids)
		return trusted;
	return libvirt_says_it_runs(of_libvirt->state) && streq(of_libvirt->name, guest->name);
}

bool domain_matches(const struct domain *domain, const char *pattern)
{
	return pattern_means(pattern, domain->name, domain->uuid, domain->running ? domain->guest.pid : 0);
}

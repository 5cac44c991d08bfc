/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest as vpmud knows it, with what domains.c keeps beside what it shows. */
#ifndef DAEMON_DOMAIN_H
#define DAEMON_DOMAIN_H

#include "domains.h"

struct entry {
	struct domain domain; /* first: whoever has one has the other */
	pid_t libvirt_pid;    /* which process libvirt says it is, 0 = not known */
	bool told;	      /* by libvirt, since domains_libvirt_begin() */
	bool missing;	      /* libvirt says it runs, /proc does not show it */
	bool trusted;	      /* its process is of a user whose QEMUs are libvirt's (qemu_users.h) */
	char *kernel_why;
	int pidfd;
	sd_event_source *death;
	/* What domain.guest points to. */
	char *exe;
	struct vpmu_vcpu_info *vcpus;
};

struct entry *entry_new(uint64_t id, const char *name, const char *uuid, const char *state);
struct entry *entry_free(struct entry *entry);
DEFINE_CLEANUP(struct entry *, entry_free)

/* Puts a copy of @text, which may be NULL, in the place of @text_at, with control characters replaced. 0 or -ENOMEM */
int text_replace(char **text_at, const char *text);
/* The same; *ret_changed becomes true if the texts differ. */
int text_update(char **text_at, const char *text, bool *ret_changed);

/* The guest's strings in the domain are the domain's own; so that a guest is called as libvirt calls it. */
void entry_name_guest(struct entry *entry);

/* Takes over which process it is. The vCPUs come by entry_take_vcpus(). 0 or -ENOMEM */
int entry_take_guest(struct entry *entry, const struct vpmu_guest_info *guest);

/* Takes over the vCPUs of @guest; *ret_old is the list before, of *ret_n, to be freed. 0 or -ENOMEM */
int entry_take_vcpus(struct entry *entry, const struct vpmu_guest_info *guest, struct vpmu_vcpu_info **ret_old,
		     size_t *ret_n);

static inline bool entry_is_guest(const struct entry *entry, const struct vpmu_guest_info *guest)
{
	return entry->domain.running && entry->domain.guest.pid == guest->pid &&
	       entry->domain.guest.start_ticks == guest->start_ticks;
}

bool libvirt_says_it_runs(const char *state);

/*
 * Is @guest what libvirt speaks of? By pid, where libvirt's is known. Else by UUID, or without one by name if it runs; and then only if
 * it is @trusted, since UUID and name are what anybody may write on a command line.
 */
bool libvirt_means(const struct libvirt_domain *of_libvirt, const struct vpmu_guest_info *guest, bool trusted);

#endif

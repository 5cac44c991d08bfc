/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The domains as their three parts see them: domains.c has the list and those who listen, domains_processes.c what /proc shows of
 * them, domains_libvirt.c what libvirt says.
 */
#ifndef DAEMON_DOMAINS_PRIVATE_H
#define DAEMON_DOMAINS_PRIVATE_H

#include "domain.h"
#include "qemu_users.h"
#include "util/vec.h"

#define DOMAINS_LOOK_EVERY_NS (800 * UINT64_C(1000000)) /* domains_processes.c tells why */

struct listener {
	int id;
	domain_fn fn; /* NULL: unlistened while everybody is told something */
	void *data;
};

struct domains {
	sd_event *loop;
	bool other_guests;
	bool real_proc;
	char *proc_path;
	struct qemu_users qemu_users;
	struct vpmu_guests *guests;
	sd_event_source *timer;
	VEC(struct entry *) entries; /* by name, then id */
	uint64_t last_id;
	VEC(struct listener) listeners;
	int last_listener, telling;
	bool listing; /* between domains_libvirt_begin() and _end() */
};

/* ---- domains.c ---- */

void domains_tell(struct domains *domains, enum domain_change change, const struct entry *entry,
		  const struct vpmu_vcpu_info *vcpu);

/* After names have changed. */
void domains_sort(struct domains *domains);

struct entry *domains_find(struct domains *domains, bool (*is)(const struct entry *entry, const void *key),
			   const void *key);

/* Both tell. NULL: out of memory. */
struct entry *domains_add(struct domains *domains, const char *name, const char *uuid, const char *state, bool libvirt);
void domains_drop(struct domains *domains, struct entry *entry);

/* The one line that says what keeps us from more: the nearest cause. */
void entry_explain(struct entry *entry, bool *ret_changed);

/* ---- domains_processes.c ---- */

/* For the timer: looks at /proc, and says when the next look is. @domains: struct domains. */
int domains_on_timer(sd_event_source *source, uint64_t now_us, void *domains);

/* Brings the domains in line with the list of guests. Those that end are told of first. */
void domains_join(struct domains *domains);

/* Its process is gone. libvirt's own word on it may come later, or when it is back; "crashed" is for it to say. */
void domains_stop_guest(struct domains *domains, struct entry *entry);

#endif

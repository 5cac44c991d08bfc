/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every guest of the node as vpmud knows it: what /proc shows (vpmu_guests) joined with what libvirt says (watcher.h), by
 * pid; where libvirt's is not known, of processes of libvirt's users, by UUID, else by name. Listeners hear of changes, in the loop.
 *
 * A domain stays known under its id while it is defined or its process lives; a new process for it is a new
 * incarnation: listeners hear DOMAIN_STOPPED, then DOMAIN_STARTED.
 */
#ifndef DAEMON_DOMAINS_H
#define DAEMON_DOMAINS_H

#include <systemd/sd-event.h>
#include <vpmu/guest.h>
#include "config.h"

struct domains;

struct domain {
	uint64_t id;	   /* vpmud's own; never used again */
	char *name, *uuid; /* uuid: "" if none */
	char *state;	   /* "running", "paused", "shutoff", …: libvirt's words */
	bool libvirt;	   /* libvirt manages it */
	bool running;	   /* its process is there: guest is set */
	struct vpmu_guest_info guest; /* a copy; its strings and vCPUs belong to the domain and change only with an event */
	char *kernel;	   /* release of the guest's kernel, NULL if not known */
	char *why;	   /* what keeps us from seeing more, NULL if nothing */
};

enum domain_change {
	DOMAIN_APPEARED,     /* defined, or found running; does not run yet */
	DOMAIN_STARTED,	     /* its process is there (follows APPEARED at once, if it runs); its vCPUs are in guest */
	DOMAIN_STOPPED,	     /* its process is gone; guest and kernel still tell what it was */
	DOMAIN_CHANGED,	     /* state, name, kernel or why */
	DOMAIN_VCPU_APPEARED,
	DOMAIN_VCPU_GONE,
	DOMAIN_GONE,	     /* the last word about it */
};

typedef void (*domain_fn)(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu,
			  void *data);

/*
 * domains_new - looks at /proc at once and whenever something may have happened there. @proc_path: NULL = /proc; tests hand
 * in a directory of their own. Errors: -ENOMEM, what opening @proc_path gave.
 */
int domains_new(sd_event *loop, const struct config *config, const char *proc_path, struct domains **ret_domains,
		struct vpmu_error *reterr);
struct domains *domains_free(struct domains *domains);
DEFINE_CLEANUP(struct domains *, domains_free)
/* After a reload: whether guests are listed that libvirt does not manage. */
void domains_reload(struct domains *domains, const struct config *config);

/* domains_look - look at /proc now. Nobody has to: it is looked at about once a second, and when a guest ends. */
void domains_look(struct domains *domains);

/*
 * domains_listen - @fn hears of every change from now on, in the loop, and may listen and unlisten there. Returns an id (never 0)
 * for domains_unlisten(), or -ENOMEM.
 */
int domains_listen(struct domains *domains, domain_fn fn, void *data);
void domains_unlisten(struct domains *domains, int id);

size_t domains_count(const struct domains *domains);
/* Sorted by name; NULL beyond the end. Valid until the loop goes on. */
const struct domain *domains_get(const struct domains *domains, size_t i);
const struct domain *domains_by_id(const struct domains *domains, uint64_t id);

/* Does @pattern (name, UUID, pid:N; * and ? in names) mean @domain? */
bool domain_matches(const struct domain *domain, const char *pattern);

/* ---- for watcher.c: libvirt's word ---- */

struct libvirt_domain {
	const char *name, *uuid, *state;
	pid_t pid;     /* 0 = not running, or not known */
};
/* A domain is there or changed. One that runs and was not seen so far makes us look at /proc at once. Errors: -ENOMEM. */
int domains_libvirt_has(struct domains *domains, const struct libvirt_domain *of_libvirt);
void domains_libvirt_lost(struct domains *domains, const char *uuid); /* undefined, or transient and gone */
/* The guest booted anew in the same process: its kernel may be another one. */
void domains_libvirt_rebooted(struct domains *domains, const char *uuid);
/* Between these two libvirt tells of every domain it has; those it does not mention are lost. */
void domains_libvirt_begin(struct domains *domains);
void domains_libvirt_end(struct domains *domains);

/* For whoever learns about a guest's kernel (kernels.h). NULL = not known, nothing to say. Forgotten when the guest stops. */
void domains_set_kernel(struct domains *domains, uint64_t id, const char *release, const char *why);

#endif

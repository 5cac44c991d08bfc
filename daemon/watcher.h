/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Brings libvirt's word (libvirt_follow.h), which comes in a thread of its own, into the loop and to the domains. Guests
 * stay known while libvirt is away: /proc still shows them, and libvirt's list replaces the old one when it is back.
 */
#ifndef DAEMON_WATCHER_H
#define DAEMON_WATCHER_H

#include "config.h"
#include "domains.h"
#include "jobs.h"

struct watcher;

/* Errors: -ENOMEM, what making the thread gave. Wrong URIs and a libvirt that is not there are no errors: see the status. */
int watcher_new(struct jobs *jobs, struct domains *domains, const struct config *config, struct watcher **ret_watcher,
		struct vpmu_error *reterr);
/* Waits a second at most for a libvirt that does not answer. */
struct watcher *watcher_free(struct watcher *watcher);
DEFINE_CLEANUP(struct watcher *, watcher_free)

/*
 * A reload: watcher_prepare() makes what another URI needs and changes nothing yet (errors: as watcher_new()); then watcher_reload() of
 * the same @config changes to it, or of the old one drops it. Neither waits for a libvirt.
 */
int watcher_prepare(struct watcher *watcher, const struct config *config, struct vpmu_error *reterr);
void watcher_reload(struct watcher *watcher, const struct config *config);

enum watcher_state {
	WATCHER_OFF,	    /* the configuration says "none" */
	WATCHER_CONNECTING, /* never was there, or went away */
	WATCHER_CONNECTED,
};

/* *ret_why: what is wrong, NULL if nothing. It belongs to the watcher and is good until the loop goes on. */
enum watcher_state watcher_state(const struct watcher *watcher, const char **ret_why);

#endif

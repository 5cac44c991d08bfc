/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's word on which domains there are, told as it changes; libvirt's only home in vpmud. All of it blocks, so it runs in a
 * thread of its own (watcher.h).
 *
 * The connection is a read-only one, and nothing is asked of libvirt that would make it ask QEMU's monitor. Events only say which
 * domain to look at again: so one rule covers renaming, saving, migration and all that libvirt may think of later, and a
 * burst of events costs one look.
 *
 * When libvirtd goes away, or stops to answer (keepalive), it is tried again, at first soon, then every 15 s.
 */
#ifndef DAEMON_LIBVIRT_FOLLOW_H
#define DAEMON_LIBVIRT_FOLLOW_H

#include "domains.h"

enum libvirt_word {
	LIBVIRT_CONNECTED, /* all domains come now, then LISTED */
	LIBVIRT_LISTED,
	LIBVIRT_HAS,
	LIBVIRT_LOST,	  /* only the UUID is given */
	LIBVIRT_REBOOTED, /* the guest booted anew, in the same process; only the UUID is given */
	LIBVIRT_DOWN,	  /* @text: why */
};

/* In the thread of who called libvirt_follow(). What it returns other than 0 makes the connection begin anew. */
typedef int (*libvirt_word_fn)(enum libvirt_word word, const struct libvirt_domain *domain, const char *text,
			       void *data);

/* Returns when @stop_fd can be read: at once, unless libvirt does not answer. */
void libvirt_follow(const char *uri, int stop_fd, libvirt_word_fn fn, void *data);

#endif

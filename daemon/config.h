/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmud.conf: "key = value" lines in [sections], # comments. Read once at start and again at reload; a file that is
 * wrong anywhere is refused as a whole, with its line, and at a reload the old one stays in force. Every key with its
 * default is in vpmud.conf itself, as a comment (a test compares the two).
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmu/error.h>
#include "util/cleanup.h"
#include "util/vec.h"

typedef VEC(char *) config_names;

/* [user NAME]: this user sees these guests and no others. */
struct config_tie {
	uid_t uid;
	config_names guests; /* patterns */
};

struct config {
	/* [vpmud] */
	char *socket;	       /* socket = /run/vpmud/org.vpmu; a socket handed over by systemd wins */
	char *libvirt;	       /* libvirt = qemu:///system; "none" = do without */
	bool other_guests;     /* other-guests = yes: list guests that libvirt does not manage */
	uint32_t workers;      /* workers = 2: threads for reports and the like, 1 … 16 */

	/* [always-on] */
	bool always_on;	       /* enabled = yes */
	uint32_t always_on_hz; /* frequency = 19, 1 … 999 */
	bool always_on_chains; /* chains = no */

	/* [store] */
	char *store_path;      /* path = /var/lib/vpmud/store.db; "none" = keep nothing */
	uint64_t store_max_bytes; /* max-size = 1G; K, M, G; at least 1M */
	uint64_t store_max_age_s; /* max-age = 7d; m, h, d; at least 1h */

	/* [metrics] */
	char *metrics_path;    /* path = none: where the textfile goes, a name that ends in .prom */
	uint32_t metrics_interval_s; /* interval = 15s, 1s … 1h */
	bool metrics_exits;    /* exits = yes: by reason */
	bool metrics_time;     /* time = yes: the vCPUs' clocks */

	/* [access] */
	config_names readers;	/* readers = @vpmu: users, @groups, or their numbers; root and vpmud's own user always may */
	config_names operators; /* operators = (empty): who may start sessions and record; they read, too */
	VEC(struct config_tie) ties; /* they read, too */

	/* [limits] */
	uint32_t max_connections, max_connections_per_user; /* 256, 64 */
	uint32_t max_sessions, max_sessions_per_user;	    /* 64, 8 */
	uint32_t max_subscriptions_per_user;		    /* 32: calls that stream, Subscribe, Counters, Exits, Time, Top, Record */
	uint64_t max_request_bytes;			    /* 1M, 4K … 16M */
	uint64_t max_queued_bytes;			    /* 32M, 64K … 1G: replies that wait to be read; all of a user's connections
							       together. Beyond that the client is dropped at once */
	uint32_t send_timeout_s;			    /* 10, 1 … 3600: a client that reads nothing for so long, while something waits, is
							       dropped; and one that takes so long to send a request */
};

/* The defaults. Errors: -ENOMEM. */
int config_new(struct config **ret_config, struct vpmu_error *reterr);
struct config *config_free(struct config *config);
DEFINE_CLEANUP(struct config *, config_free)

/* config_parse - the defaults, changed by @text (@n bytes), which messages call @name: "vpmud.conf:12: …". -EINVAL */
int config_parse(const char *name, const char *text, size_t n, struct config **ret_config, struct vpmu_error *reterr);

/* config_load - the same from a file. @must_exist: else a missing file means the defaults. */
int config_load(const char *path, bool must_exist, struct config **ret_config, struct vpmu_error *reterr);

#endif

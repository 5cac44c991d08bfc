/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmud's inventory. One thread, the loop's (sd-event), owns all of it; what takes longer than a few milliseconds is
 * done elsewhere (jobs.h: a pool for single tasks; runner.h: a thread for each running session) and comes back to the loop.
 *
 *	watcher      libvirt's word on which domains there are		-> domains
 *	domains      every guest of the node, from libvirt and /proc; tells listeners what changes
 *	kernels      looks into each guest for its kernel		-> domains
 *	guest_views  guests as clients see them; subscriptions: who is told of changes
 *	arbiter      who gets which of the node's counters (pure policy)
 *	sessions     the sessions that clients started			uses arbiter, runner
 *	always_on    the session that samples all guests		uses arbiter, runner -> store
 *	store	     profiles on disk, by guest and minute
 *	counting     counters on all guests, for metrics		uses arbiter
 *	accounts     exits and clocks of all guests, for metrics
 *	count_streams  counters, exits and clocks for clients, interval by interval	uses arbiter
 *	metrics	     OpenMetrics text
 *	abilities    what this machine can do
 *	preload	     what sessions would wait for
 *	service	     what systemd is told
 *	server	     connections, calls; methods*.c carry them out	uses access
 */
#ifndef DAEMON_MANAGER_H
#define DAEMON_MANAGER_H

#include <systemd/sd-event.h>
#include "config.h"

struct manager {
	sd_event *loop;
	char *config_path;
	bool config_must_exist;
	struct config *config; /* the struct stays; at a reload its values change and its strings go: who keeps one copies it */
	struct jobs *jobs;
	struct jobs *looks; /* one thread of their own: a guest may make them as slow as it likes */
	struct access *access;
	struct domains *domains;
	struct watcher *watcher;
	struct kernels *kernels;
	struct guest_views *guest_views;
	struct subscriptions *subscriptions;
	struct arbiter *arbiter;
	uint32_t n_counters; /* hardware counters of each CPU; 0 = no PMU */
	struct sessions *sessions;
	struct always_on *always_on;
	struct store *store;
	struct counting *counting;
	struct accounts *accounts;
	struct count_streams *count_streams;
	struct metrics *metrics;
	struct abilities *abilities;
	struct preload *preload;
	struct service *service;
	struct server *server;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t started_ms; /* Unix time */
};

struct manager_opts {
	const char *config_path;
	bool config_must_exist;
	const char *socket;  /* instead of the configured path; NULL = that one */
	int listen_fd;	     /* a listening socket from systemd, taken in any case; -1 = make one */
	bool check_replies;  /* for tests: answers that the interface does not allow become errors */
};

/*
 * manager_new - everything up, nothing answered yet.
 * manager_run - until SIGTERM or SIGINT; SIGHUP reads the configuration again. Returns 0 or a negative errno.
 */
int manager_new(const struct manager_opts *opts, struct manager **ret_manager, struct vpmu_error *reterr);
int manager_run(struct manager *manager);
struct manager *manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager *, manager_free)

uint64_t manager_now_ns(void); /* CLOCK_MONOTONIC */

#endif

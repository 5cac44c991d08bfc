/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts the parts in the order in which they need each other, the server last; ends them the other way round, the server
 * first: its clients are told before what they look at goes.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "access.h"
#include "domains.h"
#include "guest_views.h"
#include "jobs.h"
#include "kernels.h"
#include "manager.h"
#include "say.h"
#include "server.h"
#include "subscriptions.h"
#include "util/error.h"
#include "util/macro.h"
#include "watcher.h"

/* ---- reload ---- */

/* What is read once, at start. */
static void say_what_waits(const struct config *before, const struct config *now)
{
	if (!streq(before->socket, now->socket))
		say_warning("the new 'socket' counts from the next start on");
	if (before->workers != now->workers)
		say_warning("the new 'workers' counts from the next start on");
}

static int load_again(struct manager *manager, struct vpmu_error *reterr)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct config before;
	int r = config_load(manager->config_path, manager->config_must_exist, &config, reterr);

	if (r == 0)
		r = access_reload(manager->access, config, reterr);
	if (r < 0)
		return r;
	say_what_waits(manager->config, config);
	before = *manager->config;
	*manager->config = *config;
	*config = before; /* which goes now */
	domains_reload(manager->domains, manager->config);
	subscriptions_reload(manager->subscriptions);
	return watcher_reload(manager->watcher, manager->config, reterr);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct manager *manager = data;
	struct vpmu_error error;

	(void)source;
	(void)info;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(manager_now_ns() / 1000));
	if (load_again(manager, &error) < 0) {
		say_error(&error);
		say_warning("the configuration stays as it was");
	} else {
		say_info("the configuration was read again");
	}
	sd_notify(0, "READY=1");
	return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct manager *manager = data;

	(void)source;
	(void)info;
	return sd_event_exit(manager->loop, 0);
}

/* ---- life ---- */

/* Blocked in every thread that starts later; the loop reads them. */
static int take_signals(struct manager *manager, struct vpmu_error *reterr)
{
	sigset_t ours;
	int r;

	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	r = sd_event_add_signal(manager->loop, NULL, SIGTERM, on_stop, manager);
	if (r >= 0)
		r = sd_event_add_signal(manager->loop, NULL, SIGINT, on_stop, manager);
	if (r >= 0)
		r = sd_event_add_signal(manager->loop, NULL, SIGHUP, on_reload, manager);
	return r < 0 ? error_errno(reterr, r, "wait for", "signals") : 0;
}

static int start_parts(struct manager *manager, struct vpmu_error *reterr)
{
	int r = jobs_new(manager->loop, manager->config->workers, &manager->jobs, reterr);

	if (r == 0)
		r = access_new(manager->config, &manager->access, reterr);
	if (r == 0)
		r = domains_new(manager->loop, manager->config, NULL, &manager->domains, reterr);
	if (r == 0)
		r = watcher_new(manager->jobs, manager->domains, manager->config, &manager->watcher, reterr);
	if (r == 0)
		r = kernels_new(manager->loop, manager->jobs, manager->domains, 0, &manager->kernels, reterr);
	if (r == 0)
		r = guest_views_new(manager->domains, manager->config, &manager->guest_views, reterr);
	if (r == 0)
		r = subscriptions_new(manager->loop, manager->domains, manager->guest_views, manager->access,
				      &manager->subscriptions, reterr);
	return r;
}

int manager_new(const struct manager_opts *opts, struct manager **ret_manager, struct vpmu_error *reterr)
{
	_close_ int listen_fd = opts->listen_fd;
	_cleanup_(manager_freep) struct manager *manager = calloc(1, sizeof(*manager));
	const char *socket;
	int r;

	if (!manager)
		return error_oom(reterr);
	manager->started_ns = manager_now_ns();
	manager->config_must_exist = opts->config_must_exist;
	manager->config_path = strdup(opts->config_path);
	if (!manager->config_path)
		return error_oom(reterr);
	r = config_load(opts->config_path, opts->config_must_exist, &manager->config, reterr);
	if (r < 0)
		return r;
	r = sd_event_new(&manager->loop);
	if (r < 0)
		return error_errno(reterr, r, "start", "the event loop");
	r = take_signals(manager, reterr);
	if (r == 0)
		r = start_parts(manager, reterr);
	if (r < 0)
		return r;
	socket = opts->socket ? opts->socket : manager->config->socket;
	r = server_new(manager, socket, take_fd(&listen_fd), opts->check_replies, &manager->server, reterr);
	if (r < 0)
		return r;
	*ret_manager = take_ptr(manager);
	return 0;
}

int manager_run(struct manager *manager)
{
	int r;

	sd_notify(0, "READY=1");
	r = sd_event_loop(manager->loop);
	sd_notify(0, "STOPPING=1");
	return r;
}

struct manager *manager_free(struct manager *manager)
{
	if (!manager)
		return NULL;
	server_free(manager->server);
	subscriptions_free(manager->subscriptions);
	guest_views_free(manager->guest_views);
	kernels_free(manager->kernels);
	watcher_free(manager->watcher);
	jobs_free(manager->jobs);
	domains_free(manager->domains);
	access_free(manager->access);
	sd_event_unref(manager->loop);
	config_free(manager->config);
	free(manager->config_path);
	free(manager);
	return NULL;
}

uint64_t manager_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

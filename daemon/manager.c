/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts the parts in the order in which they need each other, the server last; ends them the other way round, the server
 * first: its clients are told before what they look at goes.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <vpmu/introspect.h>

#include "abilities.h"
#include "access.h"
#include "accounts.h"
#include "always_on.h"
#include "arbiter.h"
#include "count_streams.h"
#include "counting.h"
#include "domains.h"
#include "guest_views.h"
#include "jobs.h"
#include "kernels.h"
#include "manager.h"
#include "metrics.h"
#include "node.h"
#include "preload.h"
#include "say.h"
#include "server.h"
#include "service.h"
#include "sessions.h"
#include "store.h"
#include "subscriptions.h"
#include "util/error.h"
#include "util/macro.h"
#include "watcher.h"

/* ---- counters and metrics ---- */

static uint64_t metrics_interval_ns(const struct config *config)
{
	return config->metrics_interval_s * UINT64_C(1000000000);
}

static void on_accounted(bool cancelled, void *data)
{
	struct manager *manager = data;

	if (!cancelled)
		metrics_update(manager->metrics);
}

/* The other half of what metrics are made of is read with it. */
static void on_counted(void *data)
{
	struct manager *manager = data;

	if (accounts_ask(manager->accounts, on_accounted, manager) < 0)
		metrics_update(manager->metrics);
}

static int start_counting(struct manager *manager, struct vpmu_error *reterr)
{
	const struct counting_opts opts = {
		.loop = manager->loop,
		.jobs = manager->jobs,
		.domains = manager->domains,
		.arbiter = manager->arbiter,
		.interval_ns = metrics_interval_ns(manager->config),
		.fn = on_counted,
		.data = manager,
	};
	const struct accounts_opts accounts_opts = { .jobs = manager->jobs, .domains = manager->domains };
	int r = counting_new(&opts, &manager->counting, reterr);

	if (r == 0)
		r = accounts_new(&accounts_opts, &manager->accounts, reterr);
	if (r == 0)
		accounts_set(manager->accounts, manager->config->metrics_exits, manager->config->metrics_time);
	if (r == 0)
		r = metrics_new(manager, &manager->metrics, reterr);
	if (r == 0)
		r = count_streams_new(manager, &manager->count_streams, reterr);
	return r;
}

/* ---- reload ---- */

/* What is read once, at start. */
static void say_what_waits(const struct config *before, const struct config *now)
{
	if (!streq(before->socket, now->socket))
		say_warning("the new 'socket' counts from the next start on");
	if (!streq(before->store_path, now->store_path))
		say_warning("the new 'path' of the store counts from the next start on");
	if (before->workers != now->workers)
		say_warning("the new 'workers' counts from the next start on");
}

static int load_again(struct manager *manager, struct vpmu_error *reterr)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct config before;
	int r = config_load(manager->config_path, manager->config_must_exist, &config, reterr);

	/* First all that may fail, so that the old configuration can stay in force as a whole. */
	if (r == 0)
		r = watcher_prepare(manager->watcher, config, reterr);
	if (r < 0)
		return r;
	r = access_reload(manager->access, config, reterr);
	if (r < 0) {
		watcher_reload(manager->watcher, manager->config);
		return r;
	}
	say_what_waits(manager->config, config);
	before = *manager->config;
	*manager->config = *config;
	*config = before; /* which goes now */
	domains_reload(manager->domains, manager->config);
	subscriptions_reload(manager->subscriptions);
	sessions_reload(manager->sessions);
	counting_set_interval(manager->counting, metrics_interval_ns(manager->config));
	accounts_set(manager->accounts, manager->config->metrics_exits, manager->config->metrics_time);
	metrics_reload(manager->metrics);
	count_streams_reload(manager->count_streams);
	if (manager->store)
		store_reload(manager->store, manager->config);
	always_on_reload(manager->always_on);
	watcher_reload(manager->watcher, manager->config);
	return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct manager *manager = data;
	struct vpmu_error error;

	(void)source;
	(void)info;
	service_reloading();
	if (load_again(manager, &error) < 0) {
		say_error(&error);
		say_warning("the configuration stays as it was");
	} else {
		say_info("the configuration was read again");
	}
	service_ready(manager->service);
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

/* Unix time. */
static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

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

static void on_grant_changed(uint64_t request, size_t event, const struct grant *grant, void *data)
{
	struct manager *manager = data;

	sessions_grant_changed(manager->sessions, request, event, grant);
	always_on_grant_changed(manager->always_on, request, event, grant);
	counting_grant_changed(manager->counting, request, event, grant);
	count_streams_grant_changed(manager->count_streams, request, event, grant);
}

/* Who shares out the counters, and who uses them. */
static int start_sessions(struct manager *manager, struct vpmu_error *reterr)
{
	struct arbiter_node node;
	int r = node_probe(&node, reterr);

	if (r == 0)
		manager->n_counters = node.n_counters;
	if (r == 0 && arbiter_new(&node, on_grant_changed, manager, &manager->arbiter) < 0)
		r = error_oom(reterr);
	if (r == 0)
		r = sessions_new(manager, &manager->sessions, reterr);
	return r;
}

static int start_keeping(struct manager *manager, struct vpmu_error *reterr)
{
	int r = streq(manager->config->store_path, "none") ? 0 :
		store_new(manager->jobs, manager->config, &manager->store, reterr);

	return r < 0 ? r : always_on_new(manager, 0, 0, &manager->always_on, reterr);
}

static bool is_profiled(const struct domain *domain, void *data)
{
	const struct manager *manager = data;

	return manager->always_on && always_on_samples(manager->always_on, domain);
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
		r = jobs_new(manager->loop, 1, &manager->looks, reterr);
	if (r == 0)
		r = kernels_new(manager->loop, manager->looks, manager->domains, 0, &manager->kernels, reterr);
	if (r == 0)
		r = guest_views_new(manager->domains, is_profiled, manager, &manager->guest_views, reterr);
	if (r == 0)
		r = subscriptions_new(manager->loop, manager->domains, manager->guest_views, manager->access,
				      &manager->subscriptions, reterr);
	if (r == 0)
		r = start_sessions(manager, reterr);
	if (r == 0)
		r = start_keeping(manager, reterr);
	if (r == 0)
		r = start_counting(manager, reterr);
	if (r == 0)
		r = abilities_new(manager->jobs, &manager->abilities, reterr);
	if (r == 0)
		r = preload_new(manager->jobs, &manager->preload, reterr);
	if (r == 0)
		r = service_new(manager, &manager->service, reterr);
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
	manager->started_ms = now_ms();
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

	service_ready(manager->service);
	r = sd_event_loop(manager->loop);
	service_stopping();
	return r;
}

struct manager *manager_free(struct manager *manager)
{
	if (!manager)
		return NULL;
	vpmu_parser_use(NULL, NULL); /* nobody waits for a parser that hangs */
	server_free(manager->server);
	sessions_about_to_end(manager->sessions);
	/* The arbiter tells these of changes: not when they are gone. */
	manager->always_on = always_on_free(manager->always_on);
	store_free(manager->store);
	manager->sessions = sessions_free(manager->sessions);
	subscriptions_free(manager->subscriptions);
	guest_views_free(manager->guest_views);
	kernels_free(manager->kernels);
	watcher_free(manager->watcher);
	service_free(manager->service);
	preload_free(manager->preload);
	abilities_free(manager->abilities);
	manager->count_streams = count_streams_free(manager->count_streams);
	accounts_free(manager->accounts);
	metrics_free(manager->metrics);
	manager->counting = counting_free(manager->counting);
	arbiter_free(manager->arbiter);
	jobs_free(manager->looks);
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

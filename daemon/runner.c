/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runner_private.h"
#include "util/error.h"
#include "util/macro.h"

#define PROFILE_BYTES (32u << 20)
#define PATIENCE_NS   500000000u

/* ---- guests, copied ---- */

static void guest_deinit(struct vpmu_guest_info *guest)
{
	free((void *)guest->name);
	free((void *)guest->uuid);
	free((void *)guest->exe);
	free((void *)guest->vcpus);
	*guest = (struct vpmu_guest_info){};
}

static int guest_copy(const struct vpmu_guest_info *from, struct vpmu_guest_info *ret_guest)
{
	struct vpmu_guest_info guest = *from;
	size_t n_bytes = from->n_vcpus * sizeof(*from->vcpus);
	void *vcpus = malloc(MAX(n_bytes, 1u));

	guest.name = strdup(from->name);
	guest.uuid = strdup(from->uuid);
	guest.exe = strdup(from->exe);
	guest.vcpus = vcpus;
	if (!guest.name || !guest.uuid || !guest.exe || !vcpus) {
		guest_deinit(&guest);
		return -ENOMEM;
	}
	if (n_bytes)
		memcpy(vcpus, from->vcpus, n_bytes);
	*ret_guest = guest;
	return 0;
}

void runner_orders_free(orders *list)
{
	vec_for_each (order, list)
		guest_deinit(&order->guest);
	vec_free(list);
}

/* ---- life ---- */

struct runner *runner_unref(struct runner *runner)
{
	if (!runner || atomic_fetch_sub(&runner->refs, 1) > 1)
		return NULL;
	runner_orders_free(&runner->orders);
	vpmu_profile_free(runner->profile);
	vpmu_profile_free(runner->last);
	for (size_t i = 0; i < ARRAY_SIZE(runner->texts); i++)
		free(runner->texts[i]);
	closep(&runner->record_fd);
	pthread_mutex_destroy(&runner->lock);
	free(runner);
	return NULL;
}

/* Makes *@text a copy that lives as long as the runner does. */
static int keep_text(struct runner *runner, size_t i, const char **text)
{
	if (!*text)
		return 0;
	*text = runner->texts[i] = strdup(*text);
	return *text ? 0 : -ENOMEM;
}

static int keep_texts(struct runner *runner)
{
	struct vpmu_session_opts *opts = &runner->session_opts;

	if (keep_text(runner, 0, &opts->events) < 0 || keep_text(runner, 1, &opts->guests.proc_path) < 0 ||
	    keep_text(runner, 2, &opts->symbolizer.kallsyms_path) < 0 ||
	    keep_text(runner, 3, &opts->symbolizer.cache_dir) < 0 ||
	    keep_text(runner, 4, &opts->symbolizer.debug_dirs) < 0 || keep_text(runner, 5, &runner->cmdline) < 0)
		return -ENOMEM;
	return 0;
}

int runner_new(struct jobs *jobs, const struct runner_opts *opts, const struct runner_events *events, void *data,
	       struct runner **ret_runner, struct vpmu_error *reterr)
{
	_cleanup_(runner_unrefp) struct runner *runner = calloc(1, sizeof(*runner));

	if (!runner) {
		closep(&(int){ opts->record_fd });
		return error_oom(reterr);
	}
	*runner = (struct runner){
		.refs = 1,
		.jobs = jobs,
		.events = *events,
		.data = data,
		.session_opts = *opts->session,
		.cmdline = opts->cmdline,
		.node_wide = opts->node_wide,
		.whole_process = opts->whole_process,
		.wants_profile = opts->profile,
		.chains = opts->chains,
		.profile_bytes = opts->profile_bytes ? opts->profile_bytes : PROFILE_BYTES,
		.record_fd = opts->record_fd,
		.duration_ns = opts->duration_ns,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	if (keep_texts(runner) < 0)
		return error_oom(reterr);
	*ret_runner = take_ptr(runner);
	return 0;
}

static void hurry(struct runner *runner)
{
	pthread_mutex_lock(&runner->lock);
	if (runner->session)
		vpmu_symbolizer_hurry(vpmu_session_symbolizer(runner->session));
	pthread_mutex_unlock(&runner->lock);
}

/* Its last addresses get names as long as that takes no longer than PATIENCE_NS from the stop on. */
static void join(struct runner *runner)
{
	uint64_t until_ns = runner->stop_ns + PATIENCE_NS;
	struct timespec until = {
		.tv_sec = (time_t)(until_ns / 1000000000u), .tv_nsec = (long)(until_ns % 1000000000u),
	};

	if (!runner->has_thread)
		return;
	runner->has_thread = false;
	if (pthread_clockjoin_np(runner->thread, NULL, CLOCK_MONOTONIC, &until) == 0)
		return;
	hurry(runner);
	pthread_join(runner->thread, NULL);
}

struct runner *runner_free(struct runner *runner)
{
	if (!runner)
		return NULL;
	runner->freed = true;
	runner->dropped = true;
	runner_stop(runner);
	/* Nobody will see the names, but for those in a recording. */
	if (runner->record_fd < 0)
		hurry(runner);
	join(runner);
	return runner_unref(runner);
}

struct vpmu_profile *runner_finish(struct runner *runner)
{
	runner_stop(runner);
	join(runner);
	return take_ptr(runner->last);
}

/* ---- orders for the thread ---- */

int runner_start(struct runner *runner)
{
	sigset_t all, before;
	int r;

	if (runner->has_thread)
		return -EALREADY;
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&runner->thread, NULL, runner_run, runner);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	runner->has_thread = true;
	(void)pthread_setname_np(runner->thread, "session");
	return 0;
}

void runner_stop(struct runner *runner)
{
	pthread_mutex_lock(&runner->lock);
	runner->stop = true;
	if (!runner->stop_ns)
		runner->stop_ns = manager_now_ns();
	if (runner->session) {
		vpmu_symbolizer_await_guests_until(vpmu_session_symbolizer(runner->session), runner->stop_ns + GUESTS_NS);
		vpmu_session_wake(runner->session);
	}
	pthread_mutex_unlock(&runner->lock);
}

/* Returns false if the runner is over, or memory is (*ret_error). */
static bool give(struct runner *runner, const struct order *order, int *ret_error)
{
	bool given = false;

	*ret_error = 0;
	pthread_mutex_lock(&runner->lock);
	if (!runner->over) {
		given = vec_push(&runner->orders, *order);
		*ret_error = given ? 0 : -ENOMEM;
		if (runner->session)
			vpmu_session_wake(runner->session);
	}
	pthread_mutex_unlock(&runner->lock);
	return given;
}

int runner_add_guest(struct runner *runner, const struct vpmu_guest_info *guest)
{
	struct order order = {};
	int r = guest_copy(guest, &order.guest);

	if (r < 0)
		return r;
	if (!give(runner, &order, &r))
		guest_deinit(&order.guest);
	return r;
}

int runner_cut(struct runner *runner, runner_cut_fn fn, void *data)
{
	struct order order = { .fn = fn, .data = data };
	struct runner_message message = { .what = MESSAGE_CUT, .fn = fn, .data = data };
	int r;

	if (!runner->wants_profile || !runner->has_thread)
		return -EINVAL;
	if (give(runner, &order, &r) || r < 0)
		return r;
	pthread_mutex_lock(&runner->lock);
	message.profile = take_ptr(runner->last);
	pthread_mutex_unlock(&runner->lock);
	if (!message.profile)
		error_set(&message.error, -ENODATA, "there are no samples since the last look");
	runner_post(runner, &message);
	return 0;
}

void runner_status(const struct runner *runner, struct runner_status *ret_status)
{
	/* The lock is no part of what the runner says. */
	pthread_mutex_t *lock = (pthread_mutex_t *)&runner->lock;

	pthread_mutex_lock(lock);
	*ret_status = runner->status;
	pthread_mutex_unlock(lock);
}

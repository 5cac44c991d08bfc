/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two threads share a runner. The session, its profile and its symbolizer are the thread's alone; what both touch is behind the lock:
 * orders on their way to the thread, the status on its way back, and the session's address, for waking it.
 *
 * What the thread has to say goes through jobs_post(), in order. Such a post holds a reference, because the loop may
 * free the runner while the post is on its way; it then finds that nobody listens any more.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "runner.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

/* To the thread: a guest to be added, or (fn) a profile to be cut. */
struct order {
	struct vpmu_guest_info guest;
	runner_cut_fn fn;
	void *data;
};

typedef VEC(struct order) orders;

#define PROFILE_BYTES (32u << 20)
#define PATIENCE_NS   500000000u

struct runner {
	atomic_uint refs;
	struct jobs *jobs;
	struct runner_events events;
	void *data;

	/* As in runner_opts, owned. */
	struct vpmu_session_opts session_opts;
	char *texts[6]; /* that session_opts and cmdline point into */
	const char *cmdline;
	bool node_wide, whole_process, wants_profile, chains;
	size_t profile_bytes;
	int record_fd;
	uint64_t duration_ns;

	/* The loop's. */
	pthread_t thread;
	bool has_thread, freed;

	/* The thread's. */
	struct vpmu_profile *profile;
	struct vpmu_coverage cut_at; /* of the session when the profile began */
	bool full;
	struct vpmu_coverage full_at; /* and when it was full */

	pthread_mutex_t lock;
	orders orders;
	bool stop, over;
	uint64_t stop_ns; /* when it was told to; 0 = it was not */
	atomic_bool dropped;	      /* nobody waits for what the thread has to say */
	struct vpmu_session *session; /* may be woken; NULL = not there yet, or no more */
	struct runner_status status;
	struct vpmu_profile *last; /* over: what was sampled since the last cut */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

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

static void orders_free(orders *list)
{
	vec_for_each (order, list)
		guest_deinit(&order->guest);
	vec_free(list);
}

/* ---- life ---- */

static struct runner *runner_unref(struct runner *runner)
{
	if (!runner || atomic_fetch_sub(&runner->refs, 1) > 1)
		return NULL;
	orders_free(&runner->orders);
	vpmu_profile_free(runner->profile);
	vpmu_profile_free(runner->last);
	for (size_t i = 0; i < ARRAY_SIZE(runner->texts); i++)
		free(runner->texts[i]);
	closep(&runner->record_fd);
	pthread_mutex_destroy(&runner->lock);
	free(runner);
	return NULL;
}
DEFINE_CLEANUP(struct runner *, runner_unref)

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

/* ---- from the thread to the loop ---- */

struct message {
	struct runner *runner;
	enum { MESSAGE_STARTED, MESSAGE_REFUSED, MESSAGE_FULL, MESSAGE_ENDED, MESSAGE_CUT } what;
	pid_t pid;
	struct vpmu_error error; /* code 0 = none */
	struct vpmu_profile *profile;
	runner_cut_fn fn;
	void *data;
};

static void message_free(struct message *message)
{
	vpmu_profile_free(message->profile);
	runner_unref(message->runner);
	free(message);
}

static void deliver(void *data)
{
	struct message *message = data;
	struct runner *runner = message->runner;
	const struct vpmu_error *error = message->error.code ? &message->error : NULL;

	if (!runner->freed) {
		switch (message->what) {
		case MESSAGE_STARTED:
			runner->events.started(runner, error, runner->data);
			break;
		case MESSAGE_REFUSED:
			if (runner->events.refused)
				runner->events.refused(runner, message->pid, error, runner->data);
			break;
		case MESSAGE_FULL:
			if (runner->events.full)
				runner->events.full(runner, runner->data);
			break;
		case MESSAGE_ENDED:
			runner->events.ended(runner, error, runner->data);
			break;
		case MESSAGE_CUT:
			message->fn(take_ptr(message->profile), error, message->data);
			break;
		}
	}
	message_free(message);
}

/* Whoever waits for a message would wait for ever without it, so the thread waits for memory if there is none. */
static void post(struct runner *runner, const struct message *content)
{
	struct message *message;

	while (!(message = malloc(sizeof(*message))) && !runner->dropped)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	if (!message) {
		vpmu_profile_free(content->profile);
		return;
	}
	*message = *content;
	message->runner = runner;
	atomic_fetch_add(&runner->refs, 1);
	while (jobs_post(runner->jobs, deliver, message) < 0) {
		if (runner->dropped) {
			message_free(message);
			return;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
}

/* ---- the thread: profiles ---- */

/* What came since @before. */
static struct vpmu_coverage coverage_since(const struct vpmu_coverage *now, const struct vpmu_coverage *before)
{
	struct vpmu_coverage c = *now;

	c.samples -= before->samples;
	for (size_t i = 0; i < VPMU_SIDE_COUNT; i++)
		c.sides[i] -= before->sides[i];
	c.resolved -= before->resolved;
	c.opaque -= before->opaque;
	c.lost -= before->lost;
	c.throttled -= before->throttled;
	c.truncated_chains -= before->truncated_chains;
	c.damaged_records -= before->damaged_records;
	c.guest_chains -= before->guest_chains;
	c.guest_processes -= before->guest_processes;
	for (size_t i = 0; i < VPMU_CHAIN_END_COUNT; i++)
		c.chain_ends[i] -= before->chain_ends[i];
	return c;
}

DEFINE_CLEANUP(struct vpmu_profile *, vpmu_profile_free)

static int begin_profile(struct runner *runner, struct vpmu_session *session, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_profile_opts, opts, .chains = runner->chains);
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *profile = NULL;
	const struct vpmu_event_info *event;
	int r = vpmu_profile_new(&opts, &profile, reterr);

	for (size_t i = 0; r == 0 && (event = vpmu_session_event(session, i)); i++)
		r = vpmu_profile_add_event(profile, event, reterr);
	if (r < 0)
		return r;
	vpmu_session_on_sample(session, vpmu_profile_add, profile);
	runner->full = false;
	runner->profile = take_ptr(profile);
	return 0;
}

/* What a hostile guest samples to is its choice: as many places and stacks as it likes. */
static void watch_profile(struct runner *runner, struct vpmu_session *session)
{
	struct message message = { .what = MESSAGE_FULL };

	if (!runner->profile || runner->full || vpmu_profile_memory(runner->profile) < runner->profile_bytes)
		return;
	runner->full = true;
	vpmu_session_coverage(session, &runner->full_at);
	vpmu_session_on_sample(session, NULL, NULL);
	post(runner, &message);
}

/* What the profile since the last cut stands on, as of @now. What came when it was full is lost to it. */
static struct vpmu_coverage coverage_of_profile(const struct runner *runner, const struct vpmu_coverage *now)
{
	struct vpmu_coverage since = coverage_since(runner->full ? &runner->full_at : now, &runner->cut_at);

	if (runner->full)
		since.lost += now->samples - runner->full_at.samples + now->lost - runner->full_at.lost;
	return since;
}

/* The profile so far, resolved. Another one begins, unless the session has @ended. */
static int cut(struct runner *runner, struct vpmu_session *session, bool ended, struct vpmu_profile **ret_profile,
	       struct vpmu_error *reterr)
{
	struct vpmu_profile *profile = runner->profile;
	struct vpmu_coverage now, since;
	int r = 0;

	vpmu_session_coverage(session, &now);
	since = coverage_of_profile(runner, &now);
	if (ended)
		runner->profile = NULL;
	else
		r = begin_profile(runner, session, reterr);
	if (r < 0)
		return r;
	runner->cut_at = now;
	r = vpmu_profile_resolve(profile, vpmu_session_symbolizer(session), &since, reterr);
	vpmu_session_forget(session);
	if (r < 0) {
		vpmu_profile_free(profile);
		return r;
	}
	*ret_profile = profile;
	return 0;
}

static void answer_cut(struct runner *runner, struct vpmu_session *session, const struct order *order)
{
	struct message message = { .what = MESSAGE_CUT, .fn = order->fn, .data = order->data };

	(void)cut(runner, session, false, &message.profile, &message.error);
	post(runner, &message);
}

/* ---- the thread: its life ---- */

static orders take_orders(struct runner *runner, bool *ret_stop)
{
	orders taken;

	pthread_mutex_lock(&runner->lock);
	taken = runner->orders;
	runner->orders = (orders){};
	*ret_stop = runner->stop;
	pthread_mutex_unlock(&runner->lock);
	return taken;
}

static void publish(struct runner *runner, const struct vpmu_session *session)
{
	struct runner_status status = { .source = vpmu_session_source(session) };
	struct stat st;

	vpmu_session_coverage(session, &status.coverage);
	while (vpmu_session_guest(session, status.n_guests))
		status.n_guests++;
	if (runner->record_fd >= 0 && fstat(runner->record_fd, &st) == 0)
		status.bytes = (uint64_t)st.st_size;
	pthread_mutex_lock(&runner->lock);
	runner->status = status;
	pthread_mutex_unlock(&runner->lock);
}

/* Returns true if it is to stop. Before the start (@reterr) a guest that cannot be had is an error: *ret_error. */
static bool carry_out(struct runner *runner, struct vpmu_session *session, bool started, int *ret_error,
		      struct vpmu_error *reterr)
{
	bool stop;
	orders list = take_orders(runner, &stop);

	*ret_error = 0;
	vec_for_each (order, &list) {
		struct message message = { .what = MESSAGE_REFUSED, .pid = order->guest.pid };
		int r;

		if (order->fn) {
			answer_cut(runner, session, order);
			continue;
		}
		r = vpmu_session_add_guest(session, &order->guest, runner->whole_process, &message.error);
		if (r < 0 && r != -ESRCH && started)
			post(runner, &message);
		if (r < 0 && r != -ESRCH && !started && *ret_error == 0) {
			*ret_error = r;
			*reterr = message.error;
		}
	}
	orders_free(&list);
	return stop;
}

static int set_up(struct runner *runner, struct vpmu_session **ret_session, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_record_opts, record_opts, .cmdline = runner->cmdline);
	struct vpmu_session *session = NULL;
	int r;

	r = vpmu_session_new(&runner->session_opts, &session, reterr);
	if (r < 0)
		return r;
	*ret_session = session;
	pthread_mutex_lock(&runner->lock);
	runner->session = session;
	pthread_mutex_unlock(&runner->lock);
	if (runner->node_wide)
		r = vpmu_session_add_cpus(session, reterr);
	if (r == 0 && runner->wants_profile)
		r = begin_profile(runner, session, reterr);
	if (r == 0)
		(void)carry_out(runner, session, false, &r, reterr);
	if (r == 0 && runner->record_fd >= 0)
		r = vpmu_session_record_fd(session, runner->record_fd, &record_opts, reterr);
	return r < 0 ? r : vpmu_session_start(session, reterr);
}

static int run_session(struct runner *runner, struct vpmu_session *session, struct vpmu_error *reterr)
{
	uint64_t end_ns = runner->duration_ns ? now_ns() + runner->duration_ns : UINT64_MAX;
	/* Not for ever, so that the status is fresh. */
	uint64_t wait_max_ms = MAX(1000u, runner->session_opts.pace_ms);
	bool stop = false;
	ssize_t n = 0;
	int r;

	while (n >= 0 && !stop) {
		uint64_t now = now_ns();
		uint64_t left_ms = now < end_ns ? (end_ns - now + 999999) / 1000000 : 0;

		if (now >= end_ns)
			break;
		n = vpmu_session_poll(session, (int)MIN(left_ms, wait_max_ms), reterr);
		watch_profile(runner, session);
		stop = carry_out(runner, session, true, &r, NULL);
		publish(runner, session);
	}
	r = vpmu_session_stop(session, n < 0 && n != -ESRCH ? NULL : reterr);
	return n < 0 && n != -ESRCH ? (int)n : r;
}

/* No order is taken any more. @last: the profile that is left, NULL if @error says why. */
static void leave(struct runner *runner, struct vpmu_profile *last, const struct vpmu_error *error)
{
	struct message message = { .what = MESSAGE_CUT };
	bool wanted = false;
	orders left;

	pthread_mutex_lock(&runner->lock);
	runner->over = true;
	runner->session = NULL;
	left = runner->orders;
	runner->orders = (orders){};
	vec_for_each (order, &left)
		wanted |= order->fn != NULL;
	if (!wanted)
		runner->last = take_ptr(last);
	pthread_mutex_unlock(&runner->lock);
	vec_for_each (order, &left) {
		if (!order->fn)
			continue;
		message.fn = order->fn;
		message.data = order->data;
		message.profile = take_ptr(last);
		if (!message.profile && error->code)
			message.error = *error;
		else if (!message.profile)
			error_set(&message.error, -ENODATA, "there are no samples since the last look");
		post(runner, &message);
	}
	orders_free(&left);
}

static void *run(void *data)
{
	struct runner *runner = data;
	struct message ended = { .what = MESSAGE_ENDED }, started = { .what = MESSAGE_STARTED };
	struct vpmu_session *session = NULL;
	struct vpmu_profile *last = NULL;
	struct vpmu_error cut_error = {};

	if (set_up(runner, &session, &started.error) < 0) {
		leave(runner, NULL, &started.error);
		vpmu_session_free(session);
		post(runner, &started);
		return NULL;
	}
	publish(runner, session);
	started.error = (struct vpmu_error){};
	post(runner, &started);
	if (run_session(runner, session, &ended.error) == 0)
		ended.error = (struct vpmu_error){};
	publish(runner, session);
	if (runner->wants_profile && !runner->dropped)
		(void)cut(runner, session, true, &last, &cut_error);
	leave(runner, last, &cut_error);
	vpmu_session_free(session);
	post(runner, &ended);
	return NULL;
}

/* ---- from the loop to the thread ---- */

int runner_start(struct runner *runner)
{
	sigset_t all, before;
	int r;

	if (runner->has_thread)
		return -EALREADY;
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&runner->thread, NULL, run, runner);
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
		runner->stop_ns = now_ns();
	if (runner->session)
		vpmu_session_wake(runner->session);
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
	struct message message = { .what = MESSAGE_CUT, .fn = fn, .data = data };
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
	post(runner, &message);
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

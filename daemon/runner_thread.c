/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/stat.h>

#include "runner_private.h"
#include "util/error.h"
#include "util/macro.h"

static void answer_cut(struct runner *runner, struct vpmu_session *session, const struct order *order)
{
	struct runner_message message = { .what = MESSAGE_CUT, .fn = order->fn, .data = order->data };

	(void)runner_cut_profile(runner, session, false, &message.profile, &message.error);
	runner_post(runner, &message);
}

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
		struct runner_message message = { .what = MESSAGE_REFUSED, .pid = order->guest.pid };
		int r;

		if (order->fn) {
			answer_cut(runner, session, order);
			continue;
		}
		r = vpmu_session_add_guest(session, &order->guest, runner->whole_process, &message.error);
		if (r < 0 && r != -ESRCH && started)
			runner_post(runner, &message);
		if (r < 0 && r != -ESRCH && !started && *ret_error == 0) {
			*ret_error = r;
			*reterr = message.error;
		}
	}
	runner_orders_free(&list);
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
	/* Stopped while there was nothing to wake: the first poll returns at once. */
	if (runner->stop) {
		vpmu_symbolizer_await_guests_until(vpmu_session_symbolizer(session), runner->stop_ns + GUESTS_NS);
		vpmu_session_wake(session);
	}
	pthread_mutex_unlock(&runner->lock);
	if (runner->node_wide)
		r = vpmu_session_add_cpus(session, reterr);
	if (r == 0 && runner->wants_profile)
		r = runner_begin_profile(runner, session, reterr);
	if (r == 0)
		(void)carry_out(runner, session, false, &r, reterr);
	if (r == 0 && runner->record_fd >= 0)
		r = vpmu_session_record_fd(session, runner->record_fd, &record_opts, reterr);
	return r < 0 ? r : vpmu_session_start(session, reterr);
}

static int run_session(struct runner *runner, struct vpmu_session *session, struct vpmu_error *reterr)
{
	uint64_t end_ns = runner->duration_ns ? manager_now_ns() + runner->duration_ns : UINT64_MAX;
	/* Not for ever, so that the status is fresh. */
	uint64_t wait_max_ms = MAX(1000u, runner->session_opts.pace_ms);
	bool stop = false;
	ssize_t n = 0;
	int r;

	while (n >= 0 && !stop) {
		uint64_t now = manager_now_ns();
		uint64_t left_ms = now < end_ns ? (end_ns - now + 999999) / 1000000 : 0;

		if (now >= end_ns)
			break;
		n = vpmu_session_poll(session, (int)MIN(left_ms, wait_max_ms), reterr);
		runner_watch_profile(runner, session);
		stop = carry_out(runner, session, true, &r, NULL);
		publish(runner, session);
	}
	r = vpmu_session_stop(session, n < 0 && n != -ESRCH ? NULL : reterr);
	return n < 0 && n != -ESRCH ? (int)n : r;
}

/* No order is taken any more. @last: the profile that is left, NULL if @error says why. */
static void leave(struct runner *runner, struct vpmu_profile *last, const struct vpmu_error *error)
{
	struct runner_message message = { .what = MESSAGE_CUT };
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
		runner_post(runner, &message);
	}
	runner_orders_free(&left);
}

void *runner_run(void *data)
{
	struct runner *runner = data;
	struct runner_message ended = { .what = MESSAGE_ENDED }, started = { .what = MESSAGE_STARTED };
	struct vpmu_session *session = NULL;
	struct vpmu_profile *last = NULL;
	struct vpmu_error cut_error = {};

	if (set_up(runner, &session, &started.error) < 0) {
		leave(runner, NULL, &started.error);
		vpmu_session_free(session);
		runner_post(runner, &started);
		return NULL;
	}
	publish(runner, session);
	started.error = (struct vpmu_error){};
	runner_post(runner, &started);
	if (run_session(runner, session, &ended.error) == 0)
		ended.error = (struct vpmu_error){};
	publish(runner, session);
	if (runner->wants_profile && !runner->dropped)
		(void)runner_cut_profile(runner, session, true, &last, &cut_error);
	leave(runner, last, &cut_error);
	vpmu_session_free(session);
	runner_post(runner, &ended);
	return NULL;
}

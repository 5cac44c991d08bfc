/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session of its own, and a profile for each interval. */
#include <errno.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"
#include "input.h"
#include "period.h"
#include "progress.h"
#include "top.h"

DEFINE_CLEANUP(struct vpmu_session *, vpmu_session_free)

#define WAIT_MS	   50 /* keys are answered as soon */
#define EVENTS_MAX 64

/* One interval's samples, filling or resolved. */
struct interval {
	struct vpmu_profile *profile;
	uint64_t n[EVENTS_MAX][2]; /* by event and half */
};

struct local {
	struct top *top;
	struct vpmu_session *session;
	struct interval filling, shown;
	struct vpmu_coverage before; /* at the beginning of the interval that is filling */
	uint64_t begin_ns;
	unsigned int version;
	/* What is shown: reports of the halves, their rows in one array. */
	struct vpmu_report *reports[2];
	VEC(struct vpmu_row) rows;
	struct top_view view;
};

static void local_deinit(struct local *local)
{
	for (int half = 0; half < 2; half++)
		vpmu_report_free(local->reports[half]);
	vec_free(&local->rows);
	vpmu_profile_free(local->shown.profile);
	vpmu_session_free(local->session);
	vpmu_profile_free(local->filling.profile);
}

static void count(const struct vpmu_sample *sample, void *data)
{
	struct local *local = data;

	local->filling.n[MIN(sample->event, EVENTS_MAX - 1u)][VPMU_SIDES_GUEST >> sample->side & 1]++;
	vpmu_profile_add(sample, local->filling.profile);
}

static int begin_interval(struct local *local, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_profile_opts, opts, .chains = false);
	struct vpmu_profile *profile;
	int r;

	r = vpmu_profile_new(&opts, &profile, reterr);
	if (r < 0)
		return r;
	local->filling = (struct interval){ .profile = profile };
	vpmu_session_coverage(local->session, &local->before);
	local->begin_ns = now_ns();
	return 0;
}

static int open_session(struct local *local, const struct top_request *request, const struct vpmu_guests *guests,
			struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_session_opts, opts, .sides = request->sides, .events = request->events,
		  .frequency_hz = (uint32_t)request->frequency_hz);
	int r;

	r = vpmu_session_new(&opts, &local->session, reterr);
	for (size_t i = 0; r >= 0 && i < request->guests->n; i++) {
		const struct vpmu_guest_info *guest = NULL;

		r = vpmu_guests_find(guests, request->guests->items[i], &guest, reterr);
		if (r >= 0)
			r = vpmu_session_add_guest(local->session, guest, false, reterr);
	}
	if (r >= 0)
		r = guest_files_name_live(request->files, local->session, guests, reterr);
	if (r >= 0)
		r = begin_interval(local, reterr);
	if (r < 0)
		return r;
	vpmu_session_on_sample(local->session, count, local);
	return vpmu_session_start(local->session, reterr);
}

/* A wrong key is found out before anything is shown. */
static int check_sort(struct local *local, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *empty = NULL;
	_cleanup_(vpmu_report_freep) struct vpmu_report *report = NULL;
	VPMU_OPTS(vpmu_report_opts, opts, .sort = top_look(local->top)->sort);
	struct vpmu_coverage nothing = {};
	int r;

	r = vpmu_profile_new(NULL, &empty, reterr);
	if (r >= 0)
		r = vpmu_profile_resolve(empty, vpmu_session_symbolizer(local->session), &nothing, reterr);
	return r < 0 ? r : vpmu_report_new(empty, &opts, &report, reterr);
}

/* What came since @before. */
static struct vpmu_coverage coverage_since(const struct vpmu_coverage *now, const struct vpmu_coverage *before)
{
	struct vpmu_coverage c = *now;

	c.samples -= before->samples;
	for (int i = 0; i < VPMU_SIDE_COUNT; i++)
		c.sides[i] -= before->sides[i];
	c.resolved = c.opaque = 0; /* for vpmu_profile_resolve() to count */
	c.lost -= before->lost;
	c.throttled -= before->throttled;
	c.truncated_chains -= before->truncated_chains;
	c.damaged_records -= before->damaged_records;
	c.guest_chains -= before->guest_chains;
	c.guest_processes -= before->guest_processes;
	for (int i = 0; i < VPMU_CHAIN_END_COUNT; i++)
		c.chain_ends[i] -= before->chain_ends[i];
	return c;
}

/* The event that the half is shown by: the one which sampled most of it (cycles:G and cycles:H are two). */
static uint32_t busiest_event(const struct interval *interval, int half)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < EVENTS_MAX; i++)
		if (interval->n[i][half] > interval->n[best][half])
			best = i;
	return best;
}

static int report_half(struct local *local, int half, struct vpmu_error *reterr)
{
	const struct top_look *look = top_look(local->top);
	VPMU_OPTS(vpmu_report_opts, opts, .sort = look->sort, .sides = half ? VPMU_SIDES_GUEST : VPMU_SIDES_HOST,
		  .event = busiest_event(&local->shown, half), .limit = look->limit);
	const struct vpmu_row *row;
	int r;

	r = vpmu_report_new(local->shown.profile, &opts, &local->reports[half], reterr);
	if (r < 0)
		return r;
	for (size_t i = 0; (row = vpmu_report_row(local->reports[half], i)); i++)
		if (!vec_push(&local->rows, *row))
			return error_oom(reterr);
	local->view.samples[half] = vpmu_report_samples(local->reports[half], half);
	return 0;
}

/* The last whole interval, as the user wants to see it now. */
static int make_view(struct local *local, struct vpmu_error *reterr)
{
	int r = 0;

	local->rows.n = 0;
	for (int half = 1; half >= 0; half--) {
		local->reports[half] = vpmu_report_free(local->reports[half]);
		if (r >= 0)
			r = report_half(local, half, reterr);
	}
	local->version = top_look(local->top)->version;
	local->view.rows = local->rows.items;
	local->view.n = local->rows.n;
	return r;
}

/* Names the interval's addresses and begins the next one. */
static int end_interval(struct local *local, struct vpmu_error *reterr)
{
	struct vpmu_coverage now, passed;
	uint64_t end_ns = now_ns();
	int r;

	vpmu_session_coverage(local->session, &now);
	passed = coverage_since(&now, &local->before);
	r = vpmu_profile_resolve(local->filling.profile, vpmu_session_symbolizer(local->session), &passed, reterr);
	if (r < 0)
		return r;
	/* What is shown points into the old one, so that goes once there is a new one to show. */
	for (int half = 0; half < 2; half++)
		local->reports[half] = vpmu_report_free(local->reports[half]);
	vpmu_profile_free(local->shown.profile);
	local->shown = local->filling;
	local->filling = (struct interval){};
	vpmu_profile_coverage(local->shown.profile, &local->view.coverage);
	local->view.interval_ns = end_ns - local->begin_ns;
	local->view.time_ms = period_now_ms();
	r = begin_interval(local, reterr);
	return r < 0 ? r : make_view(local, reterr);
}

static int skip_interval(struct local *local, struct vpmu_error *reterr)
{
	vpmu_profile_free(local->filling.profile);
	local->filling = (struct interval){};
	return begin_interval(local, reterr);
}

/* Until the interval is over: 0; or all is: 1. */
static int wait_for_end(struct local *local, struct vpmu_error *reterr)
{
	for (;;) {
		uint64_t passed_ns = now_ns() - local->begin_ns, interval_ns = top_look(local->top)->interval_ns;
		uint64_t left_ms = interval_ns > passed_ns ? (interval_ns - passed_ns + 999999) / 1000000 : 0;
		ssize_t n;
		int r;

		if (!left_ms)
			return 0;
		n = vpmu_session_poll(local->session, (int)MIN(left_ms, (uint64_t)WAIT_MS), reterr);
		if (n < 0)
			return (int)n;
		if (top_tick(local->top))
			return 1;
		if (local->version == top_look(local->top)->version || !local->shown.profile)
			continue;
		r = make_view(local, reterr);
		if (r < 0)
			return r;
		if (top_show(local->top, &local->view, false))
			return 1;
	}
}

int top_local(struct top *top, const struct top_request *request, const struct vpmu_guests *guests,
	      struct vpmu_error *reterr)
{
	__attribute__((cleanup(local_deinit))) struct local local = { .top = top };
	int r;

	r = open_session(&local, request, guests, reterr);
	if (r >= 0)
		r = check_sort(&local, reterr);
	if (r >= 0)
		top_begin(top);
	while (r == 0) {
		r = wait_for_end(&local, reterr);
		if (r == 0 && top_look(top)->paused)
			r = skip_interval(&local, reterr);
		else if (r == 0)
			r = end_interval(&local, reterr);
		if (r == 0 && !top_look(top)->paused && top_show(top, &local.view, true))
			r = 1;
	}
	return r < 0 ? r : 0;
}

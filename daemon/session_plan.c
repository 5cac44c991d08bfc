/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "session_plan.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"

#define RING_MIN_BYTES (16u << 10)
#define RING_MAX_BYTES (512u << 10)
/* Up to this rate nobody is in a hurry to see samples, and going round the rings would be most of the work. */
#define SLOW_HZ	       100
#define SLOW_PACE_MS   1000
/* Only to notice those that domains.h did not tell of. Other threads than vCPUs it tells of none. */
#define FOLLOW_MS      5000
#define FOLLOW_ALL_MS  1000

void session_plan_deinit(struct session_plan *plan)
{
	for (size_t i = 0; plan->events && i < plan->n; i++)
		free((void *)plan->events[i].name);
	free(plan->events);
	free(plan->grants);
	*plan = (struct session_plan){};
}

DEFINE_CLEANUP(struct vpmu_session *, vpmu_session_free)

unsigned int session_plan_fixed(const char *name)
{
	static const struct {
		const char *name;
		unsigned int fixed;
	} alone[] = {
		{ "instructions", VPMU_FIXED_INSTRUCTIONS },
		{ "cycles", VPMU_FIXED_CYCLES },
		{ "cpu-cycles", VPMU_FIXED_CYCLES },
		{ "ref-cycles", VPMU_FIXED_REF_CYCLES },
	};
	size_t n = strcspn(name, ":");

	for (size_t i = 0; i < ARRAY_SIZE(alone); i++)
		if (strlen(alone[i].name) == n && strncmp(alone[i].name, name, n) == 0)
			return alone[i].fixed;
	return 0;
}

static int add_event(struct session_plan *plan, const struct vpmu_event_info *info, unsigned int sides)
{
	struct arbiter_event *event = &plan->events[plan->n];

	*event = (struct arbiter_event){
		.name = strdup(info->name),
		.class = info->is_hardware ? EVENT_HARDWARE : info->is_tracepoint ? EVENT_TRACEPOINT : EVENT_SOFTWARE,
		.fixed = session_plan_fixed(info->name),
		.sampling = true,
		.guest = !info->excludes_guest && (!sides || sides & VPMU_SIDES_GUEST),
		.replaceable = plan->by_default,
	};
	plan->n++;
	return event->name ? 0 : -ENOMEM;
}

int session_plan_make(const struct vpmu_session_opts *opts, struct session_plan *ret_plan, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_session_freep) struct vpmu_session *session = NULL;
	struct session_plan plan = { .by_default = !opts->events };
	struct vpmu_session_opts quick = *opts;
	struct vpmu_coverage coverage;
	size_t n = 0;
	int r;

	/* BPF programs take milliseconds to load, and change nothing about the events. */
	quick.guest_chains = false;
	r = vpmu_session_new(&quick, &session, reterr);
	if (r < 0)
		return r;
	while (vpmu_session_event(session, n))
		n++;
	plan.events = calloc(n, sizeof(*plan.events));
	plan.grants = calloc(n, sizeof(*plan.grants));
	for (size_t i = 0; plan.events && plan.grants && i < n; i++)
		r = add_event(&plan, vpmu_session_event(session, i), opts->sides) < 0 ? -ENOMEM : r;
	if (!plan.events || !plan.grants || r < 0) {
		session_plan_deinit(&plan);
		return error_oom(reterr);
	}
	vpmu_session_coverage(session, &coverage);
	memcpy(plan.source, coverage.source, sizeof(plan.source));
	plan.frequency_hz = (uint32_t)vpmu_session_event(session, 0)->frequency_hz;
	plan.period = vpmu_session_event(session, 0)->period;
	*ret_plan = plan;
	return 0;
}

/* Room for some four seconds of a busy vCPU's samples, so that naming addresses in between loses none. */
static uint32_t ring_bytes(uint32_t frequency_hz, bool chains)
{
	uint64_t need = (uint64_t)frequency_hz * (chains ? 1200 : 100) * 4;
	uint32_t bytes = RING_MIN_BYTES;

	while (bytes < need && bytes < RING_MAX_BYTES)
		bytes *= 2;
	return bytes;
}

void session_plan_pace(struct vpmu_session_opts *opts, bool whole_process)
{
	opts->follow_ms = whole_process ? FOLLOW_ALL_MS : FOLLOW_MS;
	if (!opts->frequency_hz || opts->frequency_hz > SLOW_HZ)
		return; /* the library's defaults, with smaller rings where memory is short */
	opts->pace_ms = SLOW_PACE_MS;
	opts->ring_bytes = ring_bytes(opts->frequency_hz, opts->host_chains);
}

int session_plan_events(const struct session_plan *plan, char **ret_events)
{
	_strbuf_ struct strbuf list = {};
	bool replaced = false, whole = true;

	for (size_t i = 0; i < plan->n; i++) {
		enum grant_status status = plan->grants[i].status;

		whole &= status == GRANT_GRANTED;
		if (status == GRANT_REFUSED || (status == GRANT_REPLACED && replaced))
			continue;
		replaced |= status == GRANT_REPLACED;
		strbuf_addf(&list, "%s%s", list.n ? "," : "",
			    status == GRANT_REPLACED ? "cpu-clock" : plan->events[i].name);
	}
	if (list.failed)
		return -ENOMEM;
	if (list.n == 0)
		return -EBUSY;
	if (plan->by_default && whole) {
		*ret_events = NULL;
		return 0;
	}
	*ret_events = strdup(list.text);
	return *ret_events ? 0 : -ENOMEM;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Samples that the BPF program took become records of the ring they were kept out of: one by one, or, where it only counted, one for
 * all that are the same. Ids are unique on a host, so the event's id tells which target it was; those of a target that is gone
 * already have nowhere to go and are counted as lost.
 *
 * One pass a round, before the rings: what comes in between is younger than everything of the round before, which is all
 * that readers who sort round by round rely on.
 */
#include <string.h>

#include "host/guest_chains.h"
#include "session/guest_sample.h"
#include "session/guest_unwind.h"
#include "session/session.h"
#include "util/log.h"
#include "util/macro.h"
#include "util/strbuf.h"

/* For the maps of processes that are seen for the first time, each round: without them their stacks cannot be unwound. */
#define MAPS_BUDGET_NS 50000000u

struct drain {
	struct vpmu_session *session;
	struct target *last;
	uint64_t now_ns;
	uint64_t maps_until_ns; /* 0 = none was seen yet */
};

static bool has_id(const struct target *target, size_t n_ids, uint64_t id)
{
	for (size_t i = 0; i < n_ids; i++)
		if (target->ids[i] == id)
			return true;
	return false;
}

static struct target *find_target(struct drain *drain, uint64_t id)
{
	const struct vpmu_session *session = drain->session;

	if (drain->last && has_id(drain->last, session->plan.n_events, id))
		return drain->last;
	vec_for_each (target, &session->targets)
		if (has_id(*target, session->plan.n_events, id))
			return drain->last = *target;
	return NULL;
}

/* Where user mode was left, 0 if it is not known. */
static uint64_t user_ip_of(const struct vpmu_bpf_sample *sample)
{
	if (sample->user)
		return sample->ip;
	return sample->has_stack ? ((const struct vpmu_bpf_record *)sample)->stack.user_ip : 0;
}

/* The space of user addresses: of @task, whose maps are read now if they are needed and time is left for it. */
static int find_space(struct drain *drain, const struct vpmu_bpf_sample *sample, uint32_t task, uint32_t *ret_space)
{
	struct vpmu_session *session = drain->session;
	struct guest_task_view view = {.space = SPACE_NONE};
	uint64_t now_ns;
	int r;

	(void)guest_tasks_at(session->tasks, task, &view);
	*ret_space = view.space;
	if (view.space == SPACE_NONE || !sample->has_stack || !((const struct vpmu_bpf_record *)sample)->stack.has_user ||
	    symbolizer_is_mapped(session->symbolizer, view.space, user_ip_of(sample)))
		return 0;
	now_ns = session_now_ns();
	if (!drain->maps_until_ns)
		drain->maps_until_ns = now_ns + MAPS_BUDGET_NS;
	if (now_ns >= drain->maps_until_ns)
		return 0;
	r = guest_tasks_read_now(session->tasks, task, now_ns);
	if (r == 0 && guest_tasks_at(session->tasks, task, &view))
		*ret_space = view.space;
	return r;
}

/* @n: so many that are the same. */
static int take_samples(struct drain *drain, const struct vpmu_bpf_sample *sample, uint64_t n)
{
	struct target *target = find_target(drain, sample->event_id);
	union guest_sample_record record;
	struct guest_chain chain;
	bool chains = drain->session->plan.chains;
	bool on_cpu = target && target->cpu >= 0;
	uint32_t guest, vcpu, task = GUEST_TASK_NONE;
	struct guest_code code = {.symbolizer = drain->session->symbolizer};
	int r;

	if (!target) {
		drain->session->intake.coverage.lost += n;
		return 0;
	}
	intake_whose(&drain->session->intake, target, (pid_t)sample->pid, (pid_t)sample->tid, &guest, &vcpu);
	if (guest != VPMU_NO_GUEST && sample->task.gva)
		task = guest_tasks_note(drain->session->tasks, guest, &sample->task, user_ip_of(sample),
					drain->now_ns);
	if (chains) {
		r = find_space(drain, sample, task, &code.space);
		if (r < 0)
			return r;
		guest_unwind(guest == VPMU_NO_GUEST ? NULL : drain->session->roster.guests.items[guest]->orc, &code, sample,
			     &chain);
	}
	guest_sample_write(sample, on_cpu ? (pid_t)sample->pid : target->pid,
			   on_cpu ? (pid_t)sample->tid : target->tid, chains ? &chain : NULL, task, &record);
	return intake_many(&drain->session->intake, target, &record.sample.header, n);
}

static int take_sample(const struct vpmu_bpf_sample *sample, void *data)
{
	return take_samples(data, sample, 1);
}

int session_drain_guests(struct vpmu_session *session)
{
	struct drain drain = {.session = session, .now_ns = session_now_ns()};

	if (!session->plan.guest_chains)
		return 0;
	return guest_chains_drain(session->plan.guest_chains, take_sample, &drain);
}

/* ---- what was counted ---- */

static int take_guest_count(struct drain *drain, const struct sample_count *count)
{
	const struct vpmu_bpf_count_key *key = count->key;
	const struct vpmu_bpf_sample *chain = count->chains[0];
	struct vpmu_bpf_sample sample = {
		.event_id = key->event_id,
		.time_ns = count->count->time_ns,
		.ip = key->ip,
		.period = count->count->weight,
		.pid = key->pid,
		.tid = key->tid,
		.cpu = count->count->cpu,
		.user = key->user,
		.task = key->task,
	};

	if (chain) {
		sample.end = chain->end;
		sample.n_frames = chain->n_frames;
		memcpy(sample.frames, chain->frames, chain->n_frames * sizeof(*chain->frames));
	} else if (key->chains[0]) {
		sample.end = VPMU_BPF_END_NO_STACK;
	}
	return take_samples(drain, &sample, count->count->n);
}

/* The host's chains of both modes, one behind the other, as the kernel writes them; @ret has room. Returns the number of words. */
static size_t join_chains(const struct sample_count *count, size_t max_addresses, uint64_t *ret)
{
	size_t n = 0, n_addresses = 0;

	for (size_t k = 0; k < ARRAY_SIZE(count->chains); k++) {
		const struct vpmu_bpf_sample *chain = count->chains[k];
		bool marked = false;

		for (size_t i = 0; chain && i < chain->n_frames && n_addresses < max_addresses; i++) {
			if (chain->frames[i] >= VPMU_CONTEXT_MAX)
				continue;
			if (!marked)
				ret[n++] = k ? VPMU_CONTEXT_USER : VPMU_CONTEXT_KERNEL;
			marked = true;
			ret[n++] = chain->frames[i];
			n_addresses++;
		}
	}
	return n;
}

static int take_host_count(struct drain *drain, const struct sample_count *count)
{
	const struct vpmu_bpf_count_key *key = count->key;
	const struct plan *plan = &drain->session->plan;
	struct target *target = find_target(drain, key->event_id);
	union guest_sample_record record;
	size_t n_bytes = offsetof(struct plan_sample, n_chain);

	if (!target) {
		drain->session->intake.coverage.lost += count->count->n;
		return 0;
	}
	record.sample = (struct plan_sample){
		.header = {
			.type = PERF_RECORD_SAMPLE,
			.misc = key->user ? PERF_RECORD_MISC_USER : PERF_RECORD_MISC_KERNEL,
		},
		.id = key->event_id,
		.ip = key->ip,
		.pid = target->cpu >= 0 ? key->pid : (uint32_t)target->pid,
		.tid = target->cpu >= 0 ? key->tid : (uint32_t)target->tid,
		.time_ns = count->count->time_ns,
		.cpu = count->count->cpu,
		.period = count->count->weight,
	};
	if (plan->chains) {
		record.sample.n_chain = join_chains(count, MIN(plan->max_chain, VPMU_BPF_MAX_ADDRESSES), record.sample.chain);
		n_bytes = offsetof(struct plan_sample, chain) + record.sample.n_chain * sizeof(uint64_t);
	}
	record.sample.header.size = (uint16_t)n_bytes;
	return intake_many(&drain->session->intake, target, &record.sample.header, count->count->n);
}

static int take_count(const struct sample_count *count, void *data)
{
	return count->key->guest ? take_guest_count(data, count) : take_host_count(data, count);
}

int session_drain_counts(struct vpmu_session *session)
{
	struct drain drain = {.session = session, .now_ns = session_now_ns()};

	if (!session->plan.guest_chains)
		return 0;
	return guest_chains_drain_counts(session->plan.guest_chains, take_count, &drain);
}

void session_say_misses(const struct vpmu_session *session)
{
	uint64_t misses[VPMU_BPF_MISS_COUNT], total = 0;
	_strbuf_ struct strbuf why = {};

	if (!session->plan.guest_chains || !session->plan.walks_guests)
		return;
	guest_chains_misses(session->plan.guest_chains, misses);
	for (unsigned int i = 0; i < VPMU_BPF_MISS_COUNT; i++) {
		total += misses[i];
		if (misses[i])
			strbuf_addf(&why, "%s%s %llu", why.n ? ", " : "",
				    guest_chains_miss_name((enum vpmu_bpf_miss)i), (unsigned long long)misses[i]);
	}
	if (total && !why.failed)
		log_warn("%llu guest samples have no call chain: %s", (unsigned long long)total, why.text);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest samples that the BPF program took become records of the ring they were kept out of. Ids are unique on a host, so the event's id tells
 * which target it was; those of a target that is gone already have nowhere to go and are counted as lost.
 *
 * One pass a round, before the rings: what comes in between is younger than everything of the round before, which is all
 * that readers who sort round by round rely on.
 */
#include "host/guest_chains.h"
#include "session/guest_sample.h"
#include "session/guest_unwind.h"
#include "session/session.h"
#include "util/log.h"
#include "util/strbuf.h"

struct drain {
	struct vpmu_session *session;
	struct target *last;
	uint64_t now_ns;
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

static int take_sample(const struct vpmu_bpf_sample *sample, void *data)
{
	struct drain *drain = data;
	struct target *target = find_target(drain, sample->event_id);
	union guest_sample_record record;
	struct guest_chain chain;
	bool chains = drain->session->plan.chains;
	bool on_cpu = target && target->cpu >= 0;
	uint32_t guest, vcpu, task = GUEST_TASK_NONE;

	if (!target) {
		drain->session->intake.coverage.lost++;
		return 0;
	}
	intake_whose(&drain->session->intake, target, (pid_t)sample->pid, (pid_t)sample->tid, &guest, &vcpu);
	if (guest != VPMU_NO_GUEST && sample->task.gva)
		task = guest_tasks_note(drain->session->tasks, guest, &sample->task, sample->user ? sample->ip : 0,
					drain->now_ns);
	if (chains)
		guest_unwind(guest == VPMU_NO_GUEST ? NULL : drain->session->roster.guests.items[guest]->orc, sample, &chain);
	guest_sample_write(sample, on_cpu ? (pid_t)sample->pid : target->pid,
			   on_cpu ? (pid_t)sample->tid : target->tid, chains ? &chain : NULL, task, &record);
	return intake_records(&drain->session->intake, target, &record, record.sample.header.size);
}

int session_drain_guests(struct vpmu_session *session)
{
	struct drain drain = {.session = session, .now_ns = session_now_ns()};

	if (!session->plan.guest_chains)
		return 0;
	return guest_chains_drain(session->plan.guest_chains, take_sample, &drain);
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

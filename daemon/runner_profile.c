/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "runner_private.h"
#include "util/macro.h"

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

int runner_begin_profile(struct runner *runner, struct vpmu_session *session, struct vpmu_error *reterr)
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
void runner_watch_profile(struct runner *runner, struct vpmu_session *session)
{
	struct runner_message message = { .what = MESSAGE_FULL };

	if (!runner->profile || runner->full || vpmu_profile_memory(runner->profile) < runner->profile_bytes)
		return;
	runner->full = true;
	vpmu_session_coverage(session, &runner->full_at);
	vpmu_session_on_sample(session, NULL, NULL);
	runner_post(runner, &message);
}

/* What the profile since the last cut stands on, as of @now. What came when it was full is lost to it. */
static struct vpmu_coverage coverage_of_profile(const struct runner *runner, const struct vpmu_coverage *now)
{
	struct vpmu_coverage since = coverage_since(runner->full ? &runner->full_at : now, &runner->cut_at);

	if (runner->full)
		since.lost += now->samples - runner->full_at.samples + now->lost - runner->full_at.lost;
	return since;
}

int runner_cut_profile(struct runner *runner, struct vpmu_session *session, bool ended, struct vpmu_profile **ret_profile,
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
		r = runner_begin_profile(runner, session, reterr);
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

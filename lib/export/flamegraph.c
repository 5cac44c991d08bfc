/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A flame graph of a profile (Brendan Gregg, "The Flame Graph", CACM 59/6): each function is a bar as wide as
 * its share of the samples, on the bar of what called it. Guests are the first level, then their processes where these
 * are known; guest and host are told apart by colour.
 */
#include <errno.h>
#include <vpmu/session.h>

#include "export/flame_profile.h"
#include "export/writer.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct vpmu_report *, vpmu_report_free)

/* What the selected samples stand on. */
static int describe_coverage(const struct export_job *job, char *text, size_t n)
{
	VPMU_OPTS(vpmu_report_opts, opts, .sort = "side", .sides = job->opts.sides, .event = job->opts.event,
		  .guests = job->opts.guests, .n_guests = job->opts.n_guests);
	_cleanup_(vpmu_report_freep) struct vpmu_report *report = NULL;
	struct vpmu_coverage coverage;
	int r = vpmu_report_new(job->profile, &opts, &report, NULL);

	if (r < 0)
		return r;
	vpmu_report_coverage(report, &coverage);
	vpmu_coverage_text(&coverage, text, n);
	return 0;
}

static int write_flamegraph(struct export_job *job)
{
	_strbuf_ struct strbuf title = {};
	_flame_ struct flame flame;
	struct vpmu_event_info event = {};
	char coverage[1024];
	struct flame_page page = {
		.kind = "profile",
		.source = job->opts.title,
		.notes = { coverage, flame_chains_note(&job->view, &job->selection) },
		.measures = { { "samples", "" }, { job->opts.is_clock ? "time" : "weight", job->opts.is_clock ? "ns" : "" } },
		.n_measures = 2,
		.measure = job->opts.by_weight,
	};
	int r = flame_init(&flame);

	if (r == 0)
		r = flame_add_profile(&flame, job->profile, &job->selection, FLAME_BY_GUEST | FLAME_BY_PROCESS, -1);
	if (r == 0)
		r = flame_grow(&flame, flame_label(&flame, "all"), FLAME_NODES_MAX);
	if (r == 0)
		r = describe_coverage(job, coverage, sizeof(coverage));
	if (r < 0)
		return r;
	flame_describe_guests(&job->view, &job->selection, &title);
	if (!title.text || title.failed)
		return -ENOMEM;
	page.title = title.text;
	if (vpmu_profile_event(job->profile, job->opts.event, &event)) {
		page.event = event.name;
		if (!job->opts.is_clock) /* what a sample stands for: so many of these */
			page.measures[1].name = event.name;
	}
	flame_write_page(&flame, &page, &job->out);
	return 0;
}

const struct export_writer export_flamegraph = { .name = "flamegraph", .write = write_flamegraph };

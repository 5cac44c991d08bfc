/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report for people: one table for the guest half, one for the host half. */
#ifndef CLI_REPORT_TEXT_H
#define CLI_REPORT_TEXT_H

#include <vpmu/vpmu.h>

/* Samples in rows whose symbol is not known, by half (1 = guest) and by why. */
struct report_unnamed {
	uint64_t samples[2][VPMU_FRAME_STATUS_COUNT];
	bool named_by_vpmud; /* so that files named here would not help */
};

/* @event is named in the heading; NULL if there is but one. Adds to @unnamed. */
void report_text(const struct vpmu_report *report, const struct vpmu_report_opts *opts,
		 const struct vpmu_event_info *event, struct report_unnamed *unnamed);

/* What the reader should know about what is missing. @recorded: of the recording, @shown: of what was selected. */
void report_text_notes(const struct vpmu_coverage *recorded, const struct vpmu_coverage *shown,
		       const struct vpmu_report_opts *opts, const struct report_unnamed *unnamed,
		       bool guests_excluded);

#endif

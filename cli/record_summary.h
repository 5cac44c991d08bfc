/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `vpmu record` says when it is done, whoever recorded. */
#ifndef CLI_RECORD_SUMMARY_H
#define CLI_RECORD_SUMMARY_H

#include <vpmu/vpmu.h>
#include "options.h"

struct record_summary {
	const char *path;
	uint64_t elapsed_ns;
	struct name_list guests; /* the first of them */
	bool all_emulated;	 /* none of them runs on KVM */
	bool named_events;	 /* not the source that was found best */
	bool guests_gone;	 /* it ended because they were */
	const char *why;	 /* it ended before its time because of that; NULL = it did not */
	bool whole_host;	 /* not of the guests alone */
	bool wants_guest;	 /* guest samples were asked for */
	struct vpmu_coverage coverage;
	uint64_t recorded; /* samples that are in the file */
};

/* Adds a guest. Its name must last as long as the summary. */
void record_summary_guest(struct record_summary *summary, const struct vpmu_guest_info *guest);

void record_summary_text(const struct record_summary *summary);
void record_summary_json(const struct record_summary *summary);

#endif

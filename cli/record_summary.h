/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `vpmu record` says when it is done. */
#ifndef CLI_RECORD_SUMMARY_H
#define CLI_RECORD_SUMMARY_H

#include <vpmu/session.h>

struct record_summary {
	const char *path;
	const struct vpmu_session *session; /* stopped */
	uint64_t elapsed_ns;
	bool guests_gone; /* it ended because they were */
	bool whole_host;  /* not of the guests alone */
	bool wants_guest; /* guest samples were asked for */
};

void record_summary_text(const struct record_summary *summary);
void record_summary_json(const struct record_summary *summary);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu stat by way of vpmud: readings out of Counters' replies, and their sum. */
#ifndef CLI_STAT_REMOTE_H
#define CLI_STAT_REMOTE_H

#include "output.h"
#include "remote.h"
#include "stat_reading.h"

struct stat_remote_args {
	const char *events; /* NULL = the usual ones */
	uint64_t interval_ms, duration_ns; /* 0 = none */
};

enum status stat_remote(struct vpmu_client *client, const struct name_list *guests,
			const struct stat_remote_args *args, struct stat_output *output);

#endif

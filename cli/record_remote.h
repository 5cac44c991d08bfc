/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu record by way of vpmud, which records into a file of its own and hands it over. */
#ifndef CLI_RECORD_REMOTE_H
#define CLI_RECORD_REMOTE_H

#include "output.h"
#include "remote.h"

struct record_remote_args {
	const char *events;
	unsigned int sides;
	uint64_t frequency_hz, period, duration_ns; /* 0 = by default, without end */
	bool chains, whole_process, json;
	const char *path;
	const char *socket; /* as in struct remote_args */
};

enum status record_remote(struct vpmu_client *client, const struct name_list *guests,
			  const struct record_remote_args *args);

#endif

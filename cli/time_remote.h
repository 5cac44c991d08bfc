/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu time by way of vpmud, which follows the vCPUs. */
#ifndef CLI_TIME_REMOTE_H
#define CLI_TIME_REMOTE_H

#include "output.h"
#include "remote.h"
#include "time_output.h"

enum status time_remote(struct vpmu_client *client, const struct name_list *guests, uint64_t interval_ms,
			uint64_t duration_ns, struct time_output *output);

#endif

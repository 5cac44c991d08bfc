/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu exits by way of vpmud, which accounts. */
#ifndef CLI_EXITS_REMOTE_H
#define CLI_EXITS_REMOTE_H

#include "exits_output.h"
#include "output.h"
#include "remote.h"

/* @guests: none = all. @keys: bits by enum vpmu_exit_key. */
enum status exits_remote(struct vpmu_client *client, const struct name_list *guests, unsigned int keys,
			 uint64_t interval_ms, uint64_t duration_ns, struct exits_output *output);

#endif

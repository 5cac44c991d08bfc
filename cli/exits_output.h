/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readings of exits as they are printed: each interval, if that was asked for, and the total. */
#ifndef CLI_EXITS_OUTPUT_H
#define CLI_EXITS_OUTPUT_H

#include "exits_show.h"
#include "json.h"

#define EXITS_STACKS (1u << 31) /* no key of rows: beyond all of those */

enum fold { FOLD_NOT = 0, FOLD_COUNT, FOLD_TIME };

struct exits_output {
	unsigned int keys; /* bits by enum vpmu_exit_key, and EXITS_STACKS */
	bool json, intervals, histograms, nested, pmu, silence_said;
	enum fold fold;
	uint64_t begin_ns;
	struct json_list list;
};

void exits_output_begin(struct exits_output *output, uint64_t begin_ns);
void exits_output_interval(struct exits_output *output, const struct exits_reading *reading);
/* Errors: -ENOMEM. */
int exits_output_total(struct exits_output *output, const struct exits_reading *reading);

#endif

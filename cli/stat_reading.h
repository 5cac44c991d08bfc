/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts as vpmu stat prints them, whoever read them: libvpmu in this process, or vpmud. */
#ifndef CLI_STAT_READING_H
#define CLI_STAT_READING_H

#include <vpmu/count.h>
#include "json.h"

struct stat_reading {
	struct vpmu_counts counts;
	const char *const *guests; /* names, by vpmu_count.guest */
};

/* Readings as they are printed: each interval, if that was asked for, and the total. */
struct stat_output {
	bool json, intervals;
	uint64_t begin_ns; /* CLOCK_MONOTONIC */
	struct json_list list;
};

void stat_output_begin(struct stat_output *output);
void stat_output_interval(struct stat_output *output, const struct stat_reading *reading);
void stat_output_total(struct stat_output *output, const struct stat_reading *reading);

/*
 * Whoever named events, and can have none of them on any thread, need not wait to be told: -EOPNOTSUPP, with the reason of the
 * first.
 */
int stat_check_events(const struct stat_reading *reading, struct vpmu_error *reterr);

#endif

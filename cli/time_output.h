/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readings of clocks as vpmu time prints them, whoever read them: libvpmu in this process, or vpmud. */
#ifndef CLI_TIME_OUTPUT_H
#define CLI_TIME_OUTPUT_H

#include <vpmu/clock.h>
#include "json.h"

struct time_reading {
	struct vpmu_clock_times times;
	const char *const *guests; /* names, by vpmu_clock_vcpu.guest */
	/* The guest whose process that of a competitor is; NULL = none's. */
	const char *(*guest_of)(pid_t pid, const void *data);
	const void *data;
};

struct time_output {
	bool json, intervals;
	uint64_t begin_ns;
	struct json_list list;
};

void time_output_begin(struct time_output *output, uint64_t begin_ns);
void time_output_interval(struct time_output *output, const struct time_reading *reading);
void time_output_total(struct time_output *output, const struct time_reading *reading);

/* For people: bars on a terminal, tables. @details: also by exit reason, and who had the CPU meanwhile. (time_text.c) */
void time_text(const struct time_reading *reading, bool details);

#endif

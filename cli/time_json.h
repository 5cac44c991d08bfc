/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readings of a clock, for programs. */
#ifndef CLI_TIME_JSON_H
#define CLI_TIME_JSON_H

#include <vpmu/clock.h>

struct json_object;

/* @guests: those of the host, for the names of competitors. */
struct json_object *time_json_vcpus(const struct vpmu_clock *clock,
				    const struct vpmu_guests *guests,
				    const struct vpmu_clock_times *times);
struct json_object *time_json_interval(const struct vpmu_clock *clock,
				       const struct vpmu_guests *guests,
				       const struct vpmu_clock_times *times);

#endif

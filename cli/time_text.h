/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readings of a clock, for people: bars on a terminal, tables. */
#ifndef CLI_TIME_TEXT_H
#define CLI_TIME_TEXT_H

#include <stdbool.h>
#include <vpmu/clock.h>

/*
 * @guests: those of the host, for the names of competitors. @details: also by exit reason, and who had the CPU meanwhile.
 */
void time_text(const struct vpmu_clock *clock, const struct vpmu_guests *guests,
	       const struct vpmu_clock_times *times, bool details);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What vpmu stat prints for people: a table of times, one line a vCPU, and one of counts, a line
 * for each side and event.
 */
#ifndef CLI_STAT_TEXT_H
#define CLI_STAT_TEXT_H

#include "stat_reading.h"

void stat_text(const struct stat_reading *reading);

#endif

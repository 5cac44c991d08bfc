/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The event names that the kernel's interface itself defines (linux/perf_event.h), in perf's spelling. */
#ifndef HOST_EVENT_TABLE_H
#define HOST_EVENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Software, hardware and cache events; capitals do not matter. */
bool event_table_find(const char *name, uint32_t *ret_type, uint64_t *ret_config);

/* Up to three names that look like @name, "a, b, c"; "" if none does. */
void event_table_near(const char *name, char *text, size_t room);

/* How many letters to change, leave out or put in to make one of the other; more than 99 is 99. */
unsigned int event_name_distance(const char *a, const char *b);

#endif

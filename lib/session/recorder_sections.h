/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The feature sections of a recording: what it says about the machine, its events, guests and
 * symbols.
 */
#ifndef SESSION_RECORDER_SECTIONS_H
#define SESSION_RECORDER_SECTIONS_H

#include "format/perf_data_write.h"
#include "session/recorder.h"
#include "util/strbuf.h"

#define RECORDER_SECTIONS_MAX 16

struct recorder_sections {
	struct perf_data_section
		items[RECORDER_SECTIONS_MAX]; /* ascending; symbol tables last, if any */
	struct strbuf bodies[RECORDER_SECTIONS_MAX];
	size_t n;
};

/* What cannot be found out is left out. -ENOMEM. */
int recorder_sections_make(struct recorder_sections *sections, const struct recorder_facts *facts,
			   const struct perf_data_write_event *events, const char *cmdline,
			   bool symbols);
void recorder_sections_deinit(struct recorder_sections *sections);
#define _sections_ __attribute__((cleanup(recorder_sections_deinit)))

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A recording, seen from inside: recording.c is what callers see, recording_survey.c the first
 * walk over the file.
 */
#ifndef SESSION_RECORDING_H
#define SESSION_RECORDING_H

#include <vpmu/recording.h>
#include "format/perf_data.h"
#include "session/guest_sample.h"
#include "session/process.h"
#include "session/recording_file.h"
#include "session/recording_guests.h"
#include "util/vec.h"

/* What a sample's event says about it. */
struct recording_event {
	const struct perf_layout *layout;
	uint64_t weight;    /* of samples without PERF_SAMPLE_PERIOD; 0 = they have it */
	uint32_t max_chain; /* addresses at which the kernel cut chains off */
};

struct vpmu_recording {
	struct recording_file file;
	struct perf_data *data;
	struct vpmu_symbolizer *symbolizer;
	struct processes *processes;
	struct guest_tasks *tasks;
	struct recording_guests guests;
	VEC(struct recording_event) events;
	VEC(struct vpmu_event_info) event_infos;

	uint64_t guest_chain[GUEST_SAMPLE_WORDS]; /* of the sample that was read last */
	bool surveyed;
	bool ours;		/* has our guests section */
	char *source, *boot_id;	/* from that section, or NULL */
	uint32_t n_not_linux; /* guests in whose memory no Linux kernel was found */
	uint64_t lost_records, lost_samples, throttled; /* seen by the survey */
	uint64_t damaged_side_records;

	/* The host's kernel, as far as the survey saw it. */
	char *kernel_symbol; /* a symbol of it, NULL if unknown, and where that was */
	uint64_t kernel_address;
	uint8_t kernel_build_id[20], kernel_build_id_bytes;

	struct vpmu_coverage coverage;
	struct vpmu_recording_info info;
	char *hostname, *os_release, *arch, *cmdline, *producer;
};

/* The events and what the header says; again after the survey, when a pipe has told all. */
int recording_take_header(struct vpmu_recording *recording);

/*
 * The guests of our own section, if there is one: known from the start, unless the file is a
 * pipe's.
 */
int recording_take_guests(struct vpmu_recording *recording);

/*
 * Walks over the file once, without decoding samples: who ran when (processes), who is a guest,
 * what was lost; then loads what depends on it. To be called before samples are read.
 */
int recording_survey(struct vpmu_recording *recording, struct vpmu_error *reterr);

#endif

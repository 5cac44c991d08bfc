/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A perf.data file while it grows.
 *
 *	header, attributes, event ids | records … | feature table, feature sections [, event ids]
 *
 * Records are copied as they come from the rings. The header's data size is brought up to date
 * with every write, so the file can be opened, with stock perf too, whatever becomes of this
 * process. If the disk fills up, the file is cut behind the last whole record; sections that do
 * not fit are left out, symbol tables first.
 *
 * Threads that appear later have events with ids of their own. Ids stand in front of the records,
 * where there is no more room at the end; then all of them are written once more behind the
 * sections.
 */
#ifndef SESSION_RECORDER_H
#define SESSION_RECORDER_H

#include <vpmu/session.h>
#include "session/plan.h"
#include "session/roster.h"
#include "sym/symbolizer.h"

struct recorder;

/* Creates the file. One that is there already becomes "@path.old". */
int recorder_new(const char *path, const struct vpmu_record_opts *opts,
		 struct recorder **ret_recorder, struct vpmu_error *reterr);

/* The same into the file that @fd has open, which is duplicated. */
int recorder_new_fd(int fd, const struct vpmu_record_opts *opts, struct recorder **ret_recorder,
		    struct vpmu_error *reterr);

/* A file that nothing was written to is removed, and the old one put back. */
struct recorder *recorder_free(struct recorder *recorder);
DEFINE_CLEANUP(struct recorder *, recorder_free)

bool recorder_wants_symbols(const struct recorder *recorder);

/* Writes the header. The plan's events have ids by now. */
int recorder_start(struct recorder *recorder, const struct plan *plan, struct vpmu_error *reterr);

/* Whole records. After an error nothing more is taken, and each call returns it again. */
int recorder_append(struct recorder *recorder, const void *records, size_t n_bytes);

/*
 * One round over all rings is done: nothing older than the round before will come. Writes what has
 * gathered, if it is enough or has waited long.
 */
int recorder_end_round(struct recorder *recorder);

/* Says what went wrong with writing: 0 or the error of append, with text. */
int recorder_error(const struct recorder *recorder, struct vpmu_error *reterr);

/* Samples among the records that are in the file. */
uint64_t recorder_samples(const struct recorder *recorder);

struct recorder_facts {
	const struct plan *plan;
	const struct roster *roster;
	struct vpmu_symbolizer *symbolizer;
	const struct guest_tasks *tasks;
	uint64_t first_time_ns, last_time_ns;
	const uint64_t *kernel_pages; /* of the host's kernel, that were hit: see symbolizer_save_tables() */
	size_t n_kernel_pages;
};

/*
 * Writes what is left, the sections and the true header. Errors: of this and of all writing
 * before.
 */
int recorder_finish(struct recorder *recorder, const struct recorder_facts *facts,
		    struct vpmu_error *reterr);

#endif

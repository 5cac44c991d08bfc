/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The perf.data container, read (tools/perf/Documentation/perf.data-file-format.txt): file mode and pipe mode,
 * compressed records, events, features. Makes no system call: bytes come through a callback.
 *
 * Damage never stops what can still be read: perf_data_next() ends there and perf_data_damage() tells where and why.
 */
#ifndef FORMAT_PERF_DATA_H
#define FORMAT_PERF_DATA_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmu/error.h>
#include "format/perf_record.h"
#include "util/cleanup.h"

/* Records that perf's tool writes, not the kernel (tools/lib/perf/include/perf/event.h). */
enum perf_user_record {
	PERF_USER_HEADER_ATTR = 64,
	PERF_USER_HEADER_EVENT_TYPE = 65,
	PERF_USER_HEADER_TRACING_DATA = 66,
	PERF_USER_HEADER_BUILD_ID = 67,
	PERF_USER_FINISHED_ROUND = 68,
	PERF_USER_ID_INDEX = 69,
	PERF_USER_AUXTRACE_INFO = 70,
	PERF_USER_AUXTRACE = 71,
	PERF_USER_AUXTRACE_ERROR = 72,
	PERF_USER_THREAD_MAP = 73,
	PERF_USER_CPU_MAP = 74,
	PERF_USER_STAT_CONFIG = 75,
	PERF_USER_STAT = 76,
	PERF_USER_STAT_ROUND = 77,
	PERF_USER_EVENT_UPDATE = 78,
	PERF_USER_TIME_CONV = 79,
	PERF_USER_HEADER_FEATURE = 80,
	PERF_USER_COMPRESSED = 81,
	PERF_USER_FINISHED_INIT = 82,
	PERF_USER_COMPRESSED2 = 83,
};

/* Header feature bits that we read or write. */
enum perf_feature {
	PERF_FEATURE_TRACING_DATA = 1,
	PERF_FEATURE_BUILD_ID = 2,
	PERF_FEATURE_HOSTNAME = 3,
	PERF_FEATURE_OSRELEASE = 4,
	PERF_FEATURE_VERSION = 5,
	PERF_FEATURE_ARCH = 6,
	PERF_FEATURE_NRCPUS = 7,
	PERF_FEATURE_CPUDESC = 8,
	PERF_FEATURE_CMDLINE = 11,
	PERF_FEATURE_EVENT_DESC = 12,
	PERF_FEATURE_SAMPLE_TIME = 21,
	PERF_FEATURE_CLOCKID = 23,
	PERF_FEATURE_COMPRESSED = 27,
	PERF_FEATURE_CLOCK_DATA = 29,
	/* Ours, far above what perf knows; perf skips features that it does not know (format/vpmu_section.h). */
	PERF_FEATURE_VPMU_TASKS = 199,
	PERF_FEATURE_VPMU_GUESTS = 200,
	PERF_FEATURE_VPMU_SYMBOLS = 201,
};

/*
 * UINT64_MAX as size: not known, the source ends where read_at gives nothing. A recording in pipe mode is read in ascending
 * order without gaps until perf_data_rewind() is called, so a real pipe will do, once.
 */
struct perf_data_source {
	void *data;
	/* Up to @n bytes from @offset_bytes: fewer only at the end, or a negative errno. */
	ssize_t (*read_at)(void *data, void *bytes, size_t n, uint64_t offset_bytes);
	uint64_t size_bytes;
};

struct perf_data_event {
	struct perf_event_attr attr;
	struct perf_layout layout;
	const char *name; /* from EVENT_DESC or EVENT_UPDATE, else made from type and config */
	size_t n_ids;
	const uint64_t *ids;
};

struct perf_data_build_id {
	const char *path;
	uint16_t misc; /* cpumode, as PERF_RECORD_MISC_* */
	int32_t pid;   /* of the guest's machine, -1 for the host */
	uint8_t size_bytes, bytes[20];
};

struct perf_data;

/* Errors: -EBADMSG, -EOPNOTSUPP (other byte order), -ENODATA (empty), -ENOMEM, what read_at gave. */
int perf_data_open(const struct perf_data_source *source, struct perf_data **ret_data,
		   struct vpmu_error *reterr);
struct perf_data *perf_data_free(struct perf_data *data);
DEFINE_CLEANUP(struct perf_data *, perf_data_free)

/* To the first record again. In pipe mode events and features are complete after one walk to the end. */
void perf_data_rewind(struct perf_data *data);

/*
 * The next record, decompressed where need be, container records (attrs, features, compressed, aux data) taken care of
 * and left out; FINISHED_ROUND and its like are left out too. Valid until the next call.
 * Returns 1, 0 at the end or at damage, or a negative errno of read_at / -ENOMEM.
 */
int perf_data_next(struct perf_data *data, const struct perf_event_header **ret_record);

/* Offset in the file of the record last returned (of its compressed record, if it came out of one). */
uint64_t perf_data_offset(const struct perf_data *data);

/* NULL = sound; else what is wrong, and where. */
const char *perf_data_damage(const struct perf_data *data, uint64_t *ret_offset_bytes);

/*
 * Whether its recorder came to the end: that writes the feature sections, so a file without any was left behind by one that
 * was killed (or that is still running). A pipe's recording has no such sign and counts as ended.
 */
bool perf_data_is_ended(const struct perf_data *data);

size_t perf_data_n_events(const struct perf_data *data);
const struct perf_data_event *perf_data_event(const struct perf_data *data, size_t i);

/*
 * Index of the event that @record belongs to, 0 if there is only one event; -1 if its id is unknown. Inline fast path: see
 * the .c file for the id table.
 */
int perf_data_event_of(const struct perf_data *data, const struct perf_event_header *record);

/*
 * A feature section's bytes, copied; *ret_bytes is NULL if the file has none, or (damage is noted) one that is not whole or
 * over PERF_DATA_FEATURE_MAX. Caller frees.
 */
#define PERF_DATA_FEATURE_MAX (256ull << 20)
int perf_data_feature(struct perf_data *data, unsigned int feature, void **ret_bytes, size_t *ret_n);

/* A feature that is one perf string (HOSTNAME, OSRELEASE, …) or, for CMDLINE, words joined by spaces: caller frees; NULL =
 * none. */
char *perf_data_feature_string(struct perf_data *data, unsigned int feature);

size_t perf_data_n_build_ids(const struct perf_data *data);
const struct perf_data_build_id *perf_data_build_id(const struct perf_data *data, size_t i);

#endif

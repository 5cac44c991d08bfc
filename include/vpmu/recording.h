/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A recording: a perf.data file, ours or stock perf's (record, kvm record, pipe mode, compressed).
 *
 * Reading needs memory by processes and mappings, not by samples. A damaged or truncated file is read up to the
 * damage; vpmu_recording_info tells where that is.
 */
#ifndef VPMU_RECORDING_H
#define VPMU_RECORDING_H

#include <vpmu/common.h>
#include <vpmu/error.h>
#include <vpmu/guest.h>
#include <vpmu/sample.h>
#include <vpmu/session.h>
#include <vpmu/symbolize.h>

struct vpmu_recording_opts {
	size_t sz;
	struct vpmu_symbolizer_opts symbolizer;
};

struct vpmu_recording;

/* Strings belong to the recording. */
struct vpmu_recording_info {
	size_t n_events, n_guests;
	const char *hostname, *os_release, *arch, *cmdline, *producer; /* "" if not in the file; producer
							is "perf 6.1.187", "vpmu 0.1.0", … */
	uint64_t size_bytes;
	bool damaged;		/* the rest of the file could not be read */
	uint64_t damage_offset; /* in bytes from the start of the file */
	const char *damage;	/* what is wrong there, "" if nothing */
};

VPMU_BEGIN_DECLS

/*
 * vpmu_recording_open - open @path ("-" = standard input), read its header.
 * Errors: what opening gave; -EBADMSG (no perf.data; the text says what it looks like), -EOPNOTSUPP (other byte
 * order, unknown compression), -ENODATA (empty).
 */
VPMU_API int vpmu_recording_open(const char *path, const struct vpmu_recording_opts *opts,
				 struct vpmu_recording **ret_recording, struct vpmu_error *reterr);
VPMU_API struct vpmu_recording *vpmu_recording_free(struct vpmu_recording *recording);

/*
 * vpmu_recording_read - deliver every sample to @fn, in the order of the file. Can be called again.
 * Errors: -EIO and the like. Damage is no error: see vpmu_recording_info().
 */
VPMU_API int vpmu_recording_read(struct vpmu_recording *recording, vpmu_sample_fn fn, void *data,
				 struct vpmu_error *reterr);

/* vpmu_recording_info - belongs to the recording; damage and guests are complete after the first read. */
VPMU_API const struct vpmu_recording_info *vpmu_recording_info(const struct vpmu_recording *recording);

/* vpmu_recording_coverage - totals of the last read. */
VPMU_API void vpmu_recording_coverage(const struct vpmu_recording *recording,
				      struct vpmu_coverage *ret_coverage);

/* Event @i, guest @i: NULL beyond the end; belong to the recording. */
VPMU_API const struct vpmu_event_info *vpmu_recording_event(const struct vpmu_recording *recording,
							    size_t i);
VPMU_API const struct vpmu_guest_info *vpmu_recording_guest(const struct vpmu_recording *recording,
							    size_t i);

VPMU_API struct vpmu_symbolizer *vpmu_recording_symbolizer(struct vpmu_recording *recording);

VPMU_END_DECLS

#endif

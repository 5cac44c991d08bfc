/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The perf.data container, written. Makes no system call: it produces the bytes of the header, to be put in front of the
 * records, and of the feature sections, to be put behind them; the caller writes.
 *
 * File layout: header, attr table, id arrays, data (records), feature table, feature sections.
 *
 *	perf_data_header()    once at the start with data_bytes 0, so that a file cut off by a crash is still readable
 *			      (readers take the file's size), and again at the end with the truth
 *	perf_data_features()  at the end
 *
 * A recorder does not know all event ids at the start: threads come. The head has room for those known then; in the end
 * all ids can stand anywhere in the file (ids_offset), while the head keeps its size.
 */
#ifndef FORMAT_PERF_DATA_WRITE_H
#define FORMAT_PERF_DATA_WRITE_H

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>
#include "format/perf_record.h"
#include "util/strbuf.h"

struct perf_data_write_event {
	struct perf_event_attr attr;
	const char *name;
	const uint64_t *ids;
	size_t n_ids;
	uint64_t ids_offset; /* where in the file the ids are; 0 = in the head */
	size_t n_early_ids;  /* with ids_offset: how many the head was made for */
};

/* Where a file's head holds the size of its records, a u64: a growing file can be kept up to date. */
#define PERF_DATA_SIZE_OFFSET_BYTES 48

struct perf_data_section {
	unsigned int feature; /* sections are to be given in ascending order of this */
	const void *bytes;
	size_t n;
};

/* Appends the file's head to @out; data starts at out->n. @sections: only their feature bits are used; NULL, 0 at start. */
int perf_data_header(const struct perf_data_write_event *events, size_t n_events, uint64_t data_bytes,
		     const struct perf_data_section *sections, size_t n_sections, struct strbuf *out);

/* Appends the feature table and the sections, which stand at @offset_bytes in the file, to @out. */
int perf_data_features(uint64_t offset_bytes, const struct perf_data_section *sections, size_t n_sections,
		       struct strbuf *out);

/* Bodies of single features, in perf's forms, appended to @out. */
void perf_feature_string(const char *string, struct strbuf *out);
void perf_feature_cmdline(const char *const *words, size_t n, struct strbuf *out);
void perf_feature_event_desc(const struct perf_data_write_event *events, size_t n, struct strbuf *out);
void perf_feature_u64s(const uint64_t *values, size_t n, struct strbuf *out);
void perf_feature_nrcpus(uint32_t online, uint32_t available, struct strbuf *out);
void perf_feature_build_id(const char *path, uint16_t cpumode, int32_t pid, const uint8_t *build_id,
			   size_t n_bytes, struct strbuf *out);

/* Records that we make up: what /proc says of processes that were there before. 8-byte padded, with a sample_id_all
 * trailer of zeroes but for @pid, @tid and @id, shaped by @layout. */
void perf_record_make_comm(const struct perf_layout *layout, uint32_t pid, uint32_t tid, const char *comm,
			   uint64_t id, struct strbuf *out);
void perf_record_make_mmap2(const struct perf_layout *layout, uint16_t misc,
			    const struct perf_mmap_record *map, uint32_t major, uint32_t minor,
			    uint64_t inode, uint64_t id, struct strbuf *out);
/* PERF_RECORD_MMAP, which is what perf expects for kernels and modules (misc: KERNEL or GUEST_KERNEL). */
void perf_record_make_mmap(const struct perf_layout *layout, uint16_t misc,
			   const struct perf_mmap_record *map, uint64_t id, struct strbuf *out);

#endif

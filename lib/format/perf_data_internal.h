/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the perf_data*.c files share.
 *
 *	perf_data.c		open, and the walk over the records
 *	perf_data_header.c	the file's head: magic, events, ids
 *	perf_data_event.c	events, their names, and id -> event
 *	perf_data_container.c	records of the perf tool that are about the file itself
 *	perf_data_zstd.c	compressed records
 *	perf_feature.c		feature sections
 *
 * The walk has one window of the current stream, [p, end). Ordinarily the stream is the file and
 * the window lies in `buffer`, whose first byte stands at buffer_offset; while a compressed record
 * is unpacked it is zstd's output, and the file's own window waits in file_p and file_end.
 */
#ifndef FORMAT_PERF_DATA_INTERNAL_H
#define FORMAT_PERF_DATA_INTERNAL_H

#include "format/perf_data.h"
#include "util/macro.h"
#include "util/vec.h"

/* Small enough to stay in the second-level cache between the copy into it and the walk over it. */
#define PERF_DATA_BUFFER_BYTES	(256 << 10)
#define PERF_DATA_RECORD_MAX	(64 << 10) /* header.size has 16 bits */

#define PERF_DATA_FEATURES	256
#define PERF_DATA_MAX_EVENTS	(64 << 10)
#define PERF_DATA_MAX_IDS	(4 << 20)
#define PERF_DATA_MAX_BUILD_IDS (1 << 20)

struct perf_data_zstd;

struct perf_data_event_slot {
	struct perf_data_event event;
	char *name;    /* what event.name points to */
	uint64_t *ids; /* what event.ids points to */
};

/* A section of a file, or, in pipe mode, bytes that came by. */
struct perf_data_place {
	bool present;
	uint64_t offset, n;
	void *bytes;
};

struct perf_data {
	struct perf_data_source source;
	bool pipe;
	uint64_t data_offset, data_end;
	bool cut; /* data_end is where the file ends, not where its header says the data does */

	const uint8_t *p, *end;
	const uint8_t *record; /* in buffer: the record last looked at */
	uint8_t *buffer;
	uint64_t buffer_offset;
	uint8_t *bounce; /* one record, aligned */
	bool ended;

	struct perf_data_zstd *zstd;
	bool in_zstd; /* p, end and the next record are zstd's */
	const uint8_t *file_p, *file_end;

	/* COMPRESSED2 records before this offset belong to one that has swallowed their lengths. */
	uint64_t crowd_end;
	uint64_t contained_to; /* container records below this offset have been taken in */
	struct perf_data_place features[PERF_DATA_FEATURES];

	VEC(struct perf_data_event_slot *) events; /* pointers, so that events never move */
	size_t n_ids;
	struct { /* open addressing; room is a power of two */
		uint64_t *ids;
		uint32_t *events;
		size_t n, room;
	} id_table;

	VEC(struct perf_data_build_id) build_ids; /* .path is owned */

	char damage[160];
	uint64_t damage_offset;
};

/* Notes the first damage; later ones are its consequences. */
void perf_data_damaged(struct perf_data *data, uint64_t offset, const char *format, ...)
	_printf_(3, 4);

/*
 * perf_data.c: @n further bytes of the current stream in the window: 1, 0 (it ends before), or a
 * negative errno.
 */
int perf_data_want(struct perf_data *data, size_t n);
/*
 * Steps over @n bytes of the file, which may be many; keeps them in *ret_bytes if that is not NULL.
 * 1, 0 or errno.
 */
int perf_data_skip(struct perf_data *data, uint64_t n, void **ret_bytes);

int perf_data_read_header(struct perf_data *data, struct vpmu_error *reterr);
int perf_data_read_sections(struct perf_data *data, struct vpmu_error *reterr);
/*
 * A piece of the file in new memory. -EBADMSG if the file does not have it, -EFBIG over
 * PERF_DATA_FEATURE_MAX.
 */
int perf_data_read_piece(struct perf_data *data, uint64_t offset, uint64_t n, void **ret_bytes);

/* @attr: as found, @attr_bytes of it; @ids need no alignment. */
int perf_data_add_event(struct perf_data *data, const void *attr, size_t attr_bytes,
			const void *ids, size_t n_ids);
int perf_data_name_event(struct perf_data *data, size_t i, const char *name);
/* Index by id, -1 if unknown. */
int perf_data_find_id(const struct perf_data *data, uint64_t id);
void perf_data_deinit_events(struct perf_data *data);

/*
 * The container record at p, whole in the window; steps over it. 1, 0 at damage, or a negative
 * errno.
 */
int perf_data_take_container(struct perf_data *data, const struct perf_event_header *record);
/*
 * The same for a COMPRESSED2 record, of which only the header need be in the window: its size
 * cannot be trusted.
 */
int perf_data_take_compressed2(struct perf_data *data);

int perf_feature_take(struct perf_data *data, unsigned int feature, const void *bytes, size_t n);
int perf_feature_add_build_id(struct perf_data *data, const struct perf_event_header *record);
void perf_feature_deinit(struct perf_data *data);

/*
 * @packed: the payload of a compressed record, which stays where it is until perf_data_zstd_more()
 * has nothing left.
 */
int perf_data_zstd_begin(struct perf_data *data, const void *packed, size_t n);
/*
 * Unpacks behind the window, moving what is left of it to the front: 1 = more bytes are there, 0 =
 * all unpacked, -EBADMSG (damage is noted).
 */
int perf_data_zstd_more(struct perf_data *data);
/* Back to the file's own window; half a record stays for the next compressed record. */
void perf_data_zstd_pause(struct perf_data *data);
size_t perf_data_zstd_left(const struct perf_data *data);
void perf_data_zstd_rewind(struct perf_data *data);
struct perf_data_zstd *perf_data_zstd_free(struct perf_data_zstd *zstd);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records other than samples (those are in perf_sample.c).
 *
 * All of them are: header, fields of the type, perhaps a string padded with NULs to 8 bytes, and,
 * with sample_id_all, a trailer that says who and when: the words TID, TIME, ID, STREAM_ID, CPU,
 * IDENTIFIER, those that sample_type asks for (kernel/events/core.c,
 * perf_event__output_id_sample()). The trailer is found from the record's end, so new fields in the
 * middle do no harm. Strings are looked for up to the end of the record: their own NUL ends them
 * before the trailer.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "format/perf_record.h"
#include "util/cursor.h"
#include "util/macro.h"

/*
 * Bits of sample_type that are one word each in every sample, in front of everything of variable
 * size.
 */
#define FIXED_FIELDS                                                                               \
	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |            \
	 PERF_SAMPLE_ADDR | PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU |             \
	 PERF_SAMPLE_PERIOD)
#define TRAILER_FIELDS                                                                             \
	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ID |            \
	 PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU)

static uint16_t words_bytes(uint64_t fields)
{
	return (uint16_t)(8 * __builtin_popcountll(fields));
}

int perf_layout_init(struct perf_layout *layout, const struct perf_event_attr *attr)
{
	uint64_t type = attr->sample_type;

	*layout = (struct perf_layout){
		.sample_type = type,
		.read_format = attr->read_format,
		.branch_sample_type = attr->branch_sample_type,
		.user_regs = (uint32_t)__builtin_popcountll(attr->sample_regs_user),
		.intr_regs = (uint32_t)__builtin_popcountll(attr->sample_regs_intr),
		.sample_id_all = attr->sample_id_all,
		.fixed_bytes = words_bytes(type & FIXED_FIELDS),
		.trailer_bytes = attr->sample_id_all ? words_bytes(type & TRAILER_FIELDS) : 0,
	};
	/*
	 * IDENTIFIER is there to be found without knowing the rest: first in a sample, last in
	 * other records.
	 */
	if (type & PERF_SAMPLE_IDENTIFIER) {
		layout->id_offset = sizeof(struct perf_event_header);
		layout->id_tail = 8;
	} else if (type & PERF_SAMPLE_ID) {
		layout->id_offset =
			(uint16_t)(sizeof(struct perf_event_header) +
				   words_bytes(type & (PERF_SAMPLE_IP | PERF_SAMPLE_TID |
						       PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR)));
		layout->id_tail = (uint16_t)(8 + words_bytes(type & (PERF_SAMPLE_STREAM_ID |
								     PERF_SAMPLE_CPU)));
	}
	if (!attr->sample_id_all)
		layout->id_tail = 0;
	return 0;
}

/* Numbers from 64 up are records that the perf tool makes: the kernel's trailer is not on them. */
static bool has_trailer(const struct perf_layout *layout, const struct perf_event_header *record)
{
	return layout->trailer_bytes && record->type != PERF_RECORD_SAMPLE && record->type < 64;
}

static uint64_t word_at(const struct perf_event_header *record, size_t offset)
{
	uint64_t word;

	memcpy(&word, (const char *)record + offset, sizeof(word));
	return word;
}

uint64_t perf_record_event_id(const struct perf_layout *layout,
			      const struct perf_event_header *record)
{
	if (record->type == PERF_RECORD_SAMPLE) {
		if (!layout->id_offset || record->size < layout->id_offset + 8u)
			return 0;
		return word_at(record, layout->id_offset);
	}
	if (!layout->id_tail || !has_trailer(layout, record) ||
	    record->size < sizeof(*record) + layout->id_tail)
		return 0;
	return word_at(record, (size_t)(record->size - layout->id_tail));
}

int perf_record_id(const struct perf_layout *layout, const struct perf_event_header *record,
		   struct perf_record_id *ret)
{
	struct perf_record_id id = { .pid = UINT32_MAX, .tid = UINT32_MAX, .cpu = UINT32_MAX };
	uint64_t type = layout->sample_type;
	struct cursor c;

	if (!has_trailer(layout, record)) {
		*ret = id;
		return 0;
	}
	if (record->size < sizeof(*record) + layout->trailer_bytes)
		return -EBADMSG;
	c = cursor_of((const char *)record + record->size - layout->trailer_bytes,
		      layout->trailer_bytes);
	if (type & PERF_SAMPLE_TID) {
		id.pid = cursor_u32(&c);
		id.tid = cursor_u32(&c);
	}
	if (type & PERF_SAMPLE_TIME)
		id.time = cursor_u64(&c);
	if (type & PERF_SAMPLE_ID)
		id.id = cursor_u64(&c);
	if (type & PERF_SAMPLE_STREAM_ID)
		cursor_u64(&c);
	if (type & PERF_SAMPLE_CPU)
		id.cpu = (uint32_t)cursor_u64(&c);
	if (type & PERF_SAMPLE_IDENTIFIER)
		id.id = cursor_u64(&c);
	*ret = id;
	return 0;
}

static struct cursor body_of(const struct perf_event_header *record)
{
	return cursor_of(record + 1, record->size - sizeof(*record));
}

/* The string that starts here, ended by a NUL before the record's end. */
static const char *rest_string(struct cursor *c)
{
	return cursor_string(c, cursor_left(c));
}

/* MMAP2's 24 bytes between pgoff and prot: device, inode, generation; or, by a flag, a build-id. */
static void mmap_identity(const struct perf_event_header *record, struct cursor *c,
			  struct perf_mmap_record *map)
{
	const uint8_t *bytes = cursor_bytes(c, 24);

	if (!bytes || !(record->misc & PERF_RECORD_MISC_MMAP_BUILD_ID))
		return;
	map->build_id_bytes = MIN(bytes[0], sizeof(map->build_id));
	memcpy(map->build_id, bytes + 4, map->build_id_bytes);
}

int perf_record_mmap(const struct perf_layout *layout, const struct perf_event_header *record,
		     struct perf_mmap_record *ret)
{
	struct perf_mmap_record map = {};
	struct cursor c = body_of(record);

	(void)layout; /* the string says where it ends */
	map.pid = cursor_u32(&c);
	map.tid = cursor_u32(&c);
	map.start = cursor_u64(&c);
	map.length_bytes = cursor_u64(&c);
	map.pgoff_bytes = cursor_u64(&c);
	if (record->type == PERF_RECORD_MMAP2) {
		mmap_identity(record, &c, &map);
		map.prot = cursor_u32(&c);
		cursor_u32(&c); /* MAP_* flags */
	} else {
		map.prot = PROT_READ | (record->misc & PERF_RECORD_MISC_MMAP_DATA ? 0 : PROT_EXEC);
	}
	map.path = rest_string(&c);
	if (c.failed)
		return -EBADMSG;
	*ret = map;
	return 0;
}

int perf_record_comm(const struct perf_layout *layout, const struct perf_event_header *record,
		     struct perf_comm_record *ret)
{
	struct perf_comm_record comm = { .exec = record->misc & PERF_RECORD_MISC_COMM_EXEC };
	struct cursor c = body_of(record);

	(void)layout;
	comm.pid = cursor_u32(&c);
	comm.tid = cursor_u32(&c);
	comm.comm = rest_string(&c);
	if (c.failed)
		return -EBADMSG;
	*ret = comm;
	return 0;
}

int perf_record_task(const struct perf_event_header *record, struct perf_task_record *ret)
{
	struct perf_task_record task = {};
	struct cursor c = body_of(record);

	task.pid = cursor_u32(&c);
	task.ppid = cursor_u32(&c);
	task.tid = cursor_u32(&c);
	task.ptid = cursor_u32(&c);
	task.time = cursor_u64(&c);
	if (c.failed)
		return -EBADMSG;
	*ret = task;
	return 0;
}

int perf_record_lost(const struct perf_event_header *record, uint64_t *ret_lost)
{
	struct cursor c = body_of(record);
	uint64_t lost;

	if (record->type == PERF_RECORD_LOST)
		cursor_u64(&c); /* the event's id */
	lost = cursor_u64(&c);
	if (c.failed)
		return -EBADMSG;
	*ret_lost = lost;
	return 0;
}

int perf_record_ksymbol(const struct perf_layout *layout, const struct perf_event_header *record,
			struct perf_ksymbol_record *ret)
{
	struct perf_ksymbol_record symbol = {};
	struct cursor c = body_of(record);

	(void)layout;
	symbol.address = cursor_u64(&c);
	symbol.length_bytes = cursor_u32(&c);
	symbol.type = cursor_u16(&c);
	symbol.unregister = cursor_u16(&c) & PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER;
	symbol.name = rest_string(&c);
	if (c.failed)
		return -EBADMSG;
	*ret = symbol;
	return 0;
}

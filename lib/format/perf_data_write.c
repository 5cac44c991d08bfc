/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing the container: the same layouts that perf_data_header.c and perf_feature.c read. perf
 * finds an attr's ids right behind attr.size bytes, so attr.size is always the size that the
 * table's entries have.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "format/perf_data.h"
#include "format/perf_data_write.h"

#define HEADER_BYTES	    104
#define ATTR_ENTRY_BYTES    (sizeof(struct perf_event_attr) + 16)
#define PLACE_BYTES	    16
#define STRING_ALIGN	    64 /* as tools/perf/util/header.c, NAME_ALIGN */
#define BUILD_ID_PATH_ALIGN 64
#define MISC_BUILD_ID_SIZE  (1u << 15)

static void put_u16(struct strbuf *out, uint16_t value)
{
	strbuf_add(out, (const char *)&value, sizeof(value));
}

static void put_u32(struct strbuf *out, uint32_t value)
{
	strbuf_add(out, (const char *)&value, sizeof(value));
}

static void put_u64(struct strbuf *out, uint64_t value)
{
	strbuf_add(out, (const char *)&value, sizeof(value));
}

static void put_zeroes(struct strbuf *out, size_t n)
{
	char *room = strbuf_reserve(out, n);

	if (!room)
		return;
	memset(room, 0, n + 1);
	out->n += n;
}

/* Nothing may be given as NULL. */
static void put_bytes(struct strbuf *out, const void *bytes, size_t n)
{
	strbuf_add(out, bytes ?: "", n);
}

/* @n bytes and zeroes up to a multiple of @align (a power of two). */
static void put_padded(struct strbuf *out, const void *bytes, size_t n, size_t align)
{
	put_bytes(out, bytes, n);
	put_zeroes(out, -n & (align - 1));
}

static int check_sections(const struct perf_data_section *sections, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sections[i].feature == 0 || sections[i].feature >= 256 ||
		    (i > 0 && sections[i].feature <= sections[i - 1].feature))
			return -EINVAL;
	return 0;
}

/* Bytes that an event's ids take in the head. */
static size_t head_ids_bytes(const struct perf_data_write_event *event)
{
	return 8 * (event->ids_offset ? event->n_early_ids : event->n_ids);
}

static void put_attrs(const struct perf_data_write_event *events, size_t n,
		      uint64_t head_ids_offset, struct strbuf *out)
{
	for (size_t i = 0; i < n; i++) {
		struct perf_event_attr attr = events[i].attr;

		attr.size = sizeof(attr);
		put_bytes(out, &attr, sizeof(attr));
		put_u64(out, events[i].ids_offset ?: head_ids_offset);
		put_u64(out, 8 * events[i].n_ids);
		head_ids_offset += head_ids_bytes(&events[i]);
	}
}

int perf_data_header(const struct perf_data_write_event *events, size_t n_events,
		     uint64_t data_bytes, const struct perf_data_section *sections,
		     size_t n_sections, struct strbuf *out)
{
	uint64_t ids_offset = HEADER_BYTES + n_events * ATTR_ENTRY_BYTES, data_offset = ids_offset;
	uint64_t features[4] = {};

	if (check_sections(sections, n_sections) < 0)
		return -EINVAL;
	for (size_t i = 0; i < n_events; i++)
		data_offset += head_ids_bytes(&events[i]);
	for (size_t i = 0; i < n_sections; i++)
		features[sections[i].feature / 64] |= 1ull << sections[i].feature % 64;
	strbuf_adds(out, "PERFILE2");
	put_u64(out, HEADER_BYTES);
	put_u64(out, ATTR_ENTRY_BYTES);
	put_u64(out, HEADER_BYTES);
	put_u64(out, n_events * ATTR_ENTRY_BYTES);
	put_u64(out, data_offset);
	put_u64(out, data_bytes);
	put_zeroes(out, PLACE_BYTES); /* event types */
	put_bytes(out, features, sizeof(features));
	put_attrs(events, n_events, ids_offset, out);
	for (size_t i = 0; i < n_events; i++)
		put_bytes(out, events[i].ids, head_ids_bytes(&events[i]));
	return out->failed ? -ENOMEM : 0;
}

int perf_data_features(uint64_t offset_bytes, const struct perf_data_section *sections,
		       size_t n_sections, struct strbuf *out)
{
	uint64_t at = offset_bytes + n_sections * PLACE_BYTES;

	if (check_sections(sections, n_sections) < 0)
		return -EINVAL;
	for (size_t i = 0; i < n_sections; i++) {
		put_u64(out, at);
		put_u64(out, sections[i].n);
		at += (sections[i].n + 7) & ~7ull;
	}
	for (size_t i = 0; i < n_sections; i++)
		put_padded(out, sections[i].bytes, sections[i].n, 8);
	return out->failed ? -ENOMEM : 0;
}

void perf_feature_string(const char *string, struct strbuf *out)
{
	size_t n = strlen(string) + 1;

	put_u32(out, (uint32_t)((n + STRING_ALIGN - 1) & ~(size_t)(STRING_ALIGN - 1)));
	put_padded(out, string, n, STRING_ALIGN);
}

void perf_feature_cmdline(const char *const *words, size_t n, struct strbuf *out)
{
	put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		perf_feature_string(words[i], out);
}

void perf_feature_event_desc(const struct perf_data_write_event *events, size_t n,
			     struct strbuf *out)
{
	put_u32(out, (uint32_t)n);
	put_u32(out, sizeof(struct perf_event_attr));
	for (size_t i = 0; i < n; i++) {
		struct perf_event_attr attr = events[i].attr;

		attr.size = sizeof(attr);
		put_bytes(out, &attr, sizeof(attr));
		put_u32(out, (uint32_t)events[i].n_ids);
		perf_feature_string(events[i].name, out);
		put_bytes(out, events[i].ids, 8 * events[i].n_ids);
	}
}

void perf_feature_u64s(const uint64_t *values, size_t n, struct strbuf *out)
{
	put_bytes(out, values, n * sizeof(*values));
}

void perf_feature_nrcpus(uint32_t online, uint32_t available, struct strbuf *out)
{
	put_u32(out, available);
	put_u32(out, online);
}

void perf_feature_build_id(const char *path, uint16_t cpumode, int32_t pid, const uint8_t *build_id,
			   size_t n_bytes, struct strbuf *out)
{
	size_t path_bytes = MIN(strlen(path), (size_t)PATH_MAX - 1);
	size_t padded = (path_bytes + BUILD_ID_PATH_ALIGN) & ~(size_t)(BUILD_ID_PATH_ALIGN - 1);
	uint8_t id[24] = {};

	memcpy(id, build_id, MIN(n_bytes, 20));
	id[20] = (uint8_t)MIN(n_bytes, 20);
	put_u32(out, 0); /* type: perf leaves it so */
	put_u16(out, (uint16_t)(cpumode | MISC_BUILD_ID_SIZE));
	put_u16(out, (uint16_t)(8 + 4 + sizeof(id) + padded));
	put_u32(out, (uint32_t)pid);
	put_bytes(out, id, sizeof(id));
	strbuf_add(out, path, path_bytes);
	put_zeroes(out, padded - path_bytes);
}

/* The trailer, and the size into the header, which stands at @start. */
static void end_record(const struct perf_layout *layout, uint32_t pid, uint32_t tid, uint64_t id,
		       size_t start, struct strbuf *out)
{
	uint64_t type = layout->sample_id_all ? layout->sample_type : 0;
	uint16_t size;

	if (type & PERF_SAMPLE_TID) {
		put_u32(out, pid);
		put_u32(out, tid);
	}
	if (type & PERF_SAMPLE_TIME)
		put_u64(out, 0);
	if (type & PERF_SAMPLE_ID)
		put_u64(out, id);
	if (type & PERF_SAMPLE_STREAM_ID)
		put_u64(out, 0);
	if (type & PERF_SAMPLE_CPU)
		put_u64(out, 0);
	if (type & PERF_SAMPLE_IDENTIFIER)
		put_u64(out, id);
	if (out->failed)
		return;
	size = (uint16_t)(out->n - start);
	memcpy(out->text + start + offsetof(struct perf_event_header, size), &size, sizeof(size));
}

static size_t begin_record(uint32_t type, uint16_t misc, uint32_t pid, uint32_t tid,
			   struct strbuf *out)
{
	size_t start = out->n;

	put_u32(out, type);
	put_u16(out, misc);
	put_u16(out, 0);
	put_u32(out, pid);
	put_u32(out, tid);
	return start;
}

/* NUL-ended and padded to 8; what is longer than any path is cut. */
static void put_record_string(const char *string, struct strbuf *out)
{
	size_t n = MIN(strlen(string), (size_t)PATH_MAX - 1);

	strbuf_add(out, string, n);
	put_zeroes(out, 8 - n % 8);
}

void perf_record_make_comm(const struct perf_layout *layout, uint32_t pid, uint32_t tid,
			   const char *comm, uint64_t id, struct strbuf *out)
{
	size_t start = begin_record(PERF_RECORD_COMM, 0, pid, tid, out);

	put_record_string(comm, out);
	end_record(layout, pid, tid, id, start, out);
}

void perf_record_make_mmap2(const struct perf_layout *layout, uint16_t misc,
			    const struct perf_mmap_record *map, uint32_t major, uint32_t minor,
			    uint64_t inode, uint64_t id, struct strbuf *out)
{
	uint8_t build_id_bytes = MIN(map->build_id_bytes, sizeof(map->build_id));
	size_t start;

	misc |= build_id_bytes ? PERF_RECORD_MISC_MMAP_BUILD_ID : 0;
	misc |= map->prot & PROT_EXEC ? 0 : PERF_RECORD_MISC_MMAP_DATA;
	start = begin_record(PERF_RECORD_MMAP2, misc, map->pid, map->tid, out);
	put_u64(out, map->start);
	put_u64(out, map->length_bytes);
	put_u64(out, map->pgoff_bytes);
	if (build_id_bytes) {
		put_u32(out, build_id_bytes);
		put_padded(out, map->build_id, sizeof(map->build_id), 4);
	} else {
		put_u32(out, major);
		put_u32(out, minor);
		put_u64(out, inode);
		put_u64(out, 0); /* generation */
	}
	put_u32(out, map->prot);
	put_u32(out, MAP_PRIVATE);
	put_record_string(map->path, out);
	end_record(layout, map->pid, map->tid, id, start, out);
}

void perf_record_make_mmap(const struct perf_layout *layout, uint16_t misc,
			   const struct perf_mmap_record *map, uint64_t id, struct strbuf *out)
{
	size_t start = begin_record(PERF_RECORD_MMAP, misc, map->pid, map->tid, out);

	put_u64(out, map->start);
	put_u64(out, map->length_bytes);
	put_u64(out, map->pgoff_bytes);
	put_record_string(map->path, out);
	end_record(layout, map->pid, map->tid, id, start, out);
}

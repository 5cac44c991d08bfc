/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "format/vpmu_tasks.h"
#include "util/cleanup.h"
#include "util/cursor.h"
#include "util/macro.h"

#define SECTION_VERSION 1
#define PATH_MAX_BYTES	4608

/* ---- writing ---- */

static void put_u32(struct strbuf *out, uint32_t value)
{
	value = htole32(value);
	strbuf_add(out, (const char *)&value, sizeof(value));
}

static void put_u64(struct strbuf *out, uint64_t value)
{
	value = htole64(value);
	strbuf_add(out, (const char *)&value, sizeof(value));
}

static void put_bytes(struct strbuf *out, const void *bytes, size_t n)
{
	put_u32(out, (uint32_t)n);
	strbuf_add(out, bytes, n);
}

static void set_u32(struct strbuf *out, size_t at, uint32_t value)
{
	value = htole32(value);
	if (!out->failed)
		memcpy(out->text + at, &value, sizeof(value));
}

static uint32_t get_u32_at(const struct strbuf *out, size_t at)
{
	uint32_t value = 0;

	if (!out->failed)
		memcpy(&value, out->text + at, sizeof(value));
	return le32toh(value);
}

void vpmu_tasks_put_head(struct strbuf *out, uint32_t n_processes, uint32_t n_tasks)
{
	put_u32(out, SECTION_VERSION);
	put_u32(out, n_processes);
	put_u32(out, n_tasks);
}

size_t vpmu_tasks_put_process(struct strbuf *out, const struct vpmu_tasks_process *process)
{
	size_t start = out->n;

	put_u32(out, 12);
	put_u32(out, process->guest);
	put_u32(out, (uint32_t)process->pid);
	put_u32(out, 0);
	return start;
}

void vpmu_tasks_put_map(struct strbuf *out, size_t entry, const struct vpmu_tasks_map *map)
{
	put_u64(out, map->start);
	put_u64(out, map->end);
	put_u64(out, map->offset_bytes);
	put_bytes(out, map->path, MIN(strlen(map->path), (size_t)PATH_MAX_BYTES));
	put_bytes(out, map->build_id, map->build_id_bytes);
	set_u32(out, entry, (uint32_t)(out->n - entry - 4));
	set_u32(out, entry + 12, get_u32_at(out, entry + 12) + 1);
}

void vpmu_tasks_put_task(struct strbuf *out, const struct vpmu_tasks_task *task)
{
	size_t start = out->n;

	put_u32(out, 0);
	put_u32(out, task->guest);
	put_u32(out, task->process);
	put_u32(out, (uint32_t)task->tid);
	put_u32(out, (uint32_t)task->pid);
	put_bytes(out, task->name, strlen(task->name));
	set_u32(out, start, (uint32_t)(out->n - start - 4));
}

/* ---- reading ---- */

static uint32_t get_u32(struct cursor *c)
{
	return le32toh(cursor_u32(c));
}

static uint64_t get_u64(struct cursor *c)
{
	return le64toh(cursor_u64(c));
}

/* A copy with control characters replaced; NULL when out of memory or, c->failed, bytes. */
static char *get_string(struct cursor *c)
{
	uint32_t n = get_u32(c);
	const char *bytes = cursor_bytes(c, n);
	char *copy = bytes ? strndup(bytes, MIN(n, PATH_MAX_BYTES)) : NULL;

	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return copy;
}

static struct cursor get_entry(struct cursor *c)
{
	uint32_t n = get_u32(c);
	const void *bytes = cursor_bytes(c, n);
	struct cursor entry = cursor_of(bytes ? bytes : c->end, bytes ? n : 0);

	entry.failed = !bytes;
	return entry;
}

static int get_map(struct cursor *c, const struct vpmu_tasks_reader *reader, void *data)
{
	struct vpmu_tasks_map map = {};
	_free_ char *path = NULL;
	const void *build_id;
	uint32_t n;

	map.start = get_u64(c);
	map.end = get_u64(c);
	map.offset_bytes = get_u64(c);
	map.path = path = get_string(c);
	n = get_u32(c);
	build_id = cursor_bytes(c, n);
	if (c->failed || n > sizeof(map.build_id) || map.end < map.start)
		return -EBADMSG;
	if (!path)
		return -ENOMEM;
	memcpy(map.build_id, build_id, n);
	map.build_id_bytes = (uint8_t)n;
	return reader->map(&map, data);
}

static int get_process(struct cursor *c, const struct vpmu_tasks_reader *reader, void *data)
{
	struct vpmu_tasks_process process = { .guest = get_u32(c), .pid = (int32_t)get_u32(c) };
	uint32_t n_maps = get_u32(c);
	int r;

	if (c->failed || n_maps > VPMU_TASKS_MAX_MAPS)
		return -EBADMSG;
	r = reader->process(&process, data);
	for (uint32_t i = 0; i < n_maps && r == 0; i++)
		r = get_map(c, reader, data);
	return r;
}

static int get_task(struct cursor *c, const struct vpmu_tasks_reader *reader, void *data)
{
	struct vpmu_tasks_task task = {
		.guest = get_u32(c),
		.process = get_u32(c),
		.tid = (int32_t)get_u32(c),
		.pid = (int32_t)get_u32(c),
	};
	_free_ char *name = get_string(c);

	if (c->failed)
		return -EBADMSG;
	task.name = name;
	return name ? reader->task(&task, data) : -ENOMEM;
}

int vpmu_tasks_decode(const void *bytes, size_t n, const struct vpmu_tasks_reader *reader, void *data)
{
	struct cursor c = cursor_of(bytes, n);
	uint32_t version = get_u32(&c), n_processes = get_u32(&c), n_tasks = get_u32(&c);
	int r = 0;

	if (c.failed || version != SECTION_VERSION || n_processes > VPMU_TASKS_MAX || n_tasks > VPMU_TASKS_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < n_processes && r == 0; i++) {
		struct cursor entry = get_entry(&c);

		r = entry.failed ? -EBADMSG : get_process(&entry, reader, data);
	}
	for (uint32_t i = 0; i < n_tasks && r == 0; i++) {
		struct cursor entry = get_entry(&c);

		r = entry.failed ? -EBADMSG : get_task(&entry, reader, data);
	}
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "format/vpmu_tasks.h"
#include "test.h"

struct seen {
	int processes, maps, tasks, stop_at_task;
	struct vpmu_tasks_process process;
	uint64_t start, end, offset;
	char path[64], name[64];
	uint8_t build_id_bytes;
	struct vpmu_tasks_task task;
};

static int see_process(const struct vpmu_tasks_process *process, void *data)
{
	struct seen *seen = data;

	seen->processes++;
	seen->process = *process;
	return 0;
}

static int see_map(const struct vpmu_tasks_map *map, void *data)
{
	struct seen *seen = data;

	seen->maps++;
	seen->start = map->start;
	seen->end = map->end;
	seen->offset = map->offset_bytes;
	seen->build_id_bytes = map->build_id_bytes;
	snprintf(seen->path, sizeof(seen->path), "%s", map->path);
	return 0;
}

static int see_task(const struct vpmu_tasks_task *task, void *data)
{
	struct seen *seen = data;

	seen->tasks++;
	seen->task = *task;
	snprintf(seen->name, sizeof(seen->name), "%s", task->name);
	return seen->stop_at_task == seen->tasks ? 42 : 0;
}

static const struct vpmu_tasks_reader reader = { see_process, see_map, see_task };

static void write_some(struct strbuf *out, const char *name)
{
	struct vpmu_tasks_map map = { 0x400000, 0x401000, 0x1000, "/opt/three", { 1, 2, 3 }, 3 };
	size_t entry;

	vpmu_tasks_put_head(out, 2, 2);
	entry = vpmu_tasks_put_process(out, &(struct vpmu_tasks_process){ .guest = 1, .pid = 70 });
	vpmu_tasks_put_map(out, entry, &map);
	map.start = 0x500000;
	map.end = 0x502000;
	vpmu_tasks_put_map(out, entry, &map);
	vpmu_tasks_put_process(out, &(struct vpmu_tasks_process){ .guest = 0, .pid = 1 });
	vpmu_tasks_put_task(out, &(struct vpmu_tasks_task){ 1, 0, 71, 70, name });
	vpmu_tasks_put_task(out, &(struct vpmu_tasks_task){ 0, VPMU_TASKS_NO_PROCESS, 2, 2, "kthreadd" });
}

TEST(what_is_written_is_read_back)
{
	_strbuf_ struct strbuf out = {};
	struct seen seen = { .stop_at_task = 1 };

	write_some(&out, "alpha");
	CHECK_EQ(vpmu_tasks_decode(out.text, out.n, &reader, &seen), 42);
	CHECK_EQ(seen.task.process, 0);
	CHECK_EQ(seen.task.tid, 71);
	CHECK_EQ(seen.task.pid, 70);
	CHECK_STR(seen.name, "alpha");
	seen = (struct seen){};
	CHECK_EQ(vpmu_tasks_decode(out.text, out.n, &reader, &seen), 0);
	CHECK_EQ(seen.processes, 2);
	CHECK_EQ(seen.maps, 2);
	CHECK_EQ(seen.tasks, 2);
	CHECK_EQ(seen.start, 0x500000);
	CHECK_EQ(seen.end, 0x502000);
	CHECK_EQ(seen.offset, 0x1000);
	CHECK_EQ(seen.build_id_bytes, 3);
	CHECK_STR(seen.path, "/opt/three");
	CHECK_EQ(seen.process.pid, 1);
	CHECK_EQ(seen.task.process, VPMU_TASKS_NO_PROCESS);
}

TEST(names_are_fit_for_terminals)
{
	_strbuf_ struct strbuf out = {};
	struct seen seen = { .stop_at_task = 1 };

	write_some(&out, "a\033[1m");
	vpmu_tasks_decode(out.text, out.n, &reader, &seen);
	CHECK_STR(seen.name, "a?[1m");
}

TEST(every_cut_is_noticed)
{
	_strbuf_ struct strbuf out = {};
	struct seen seen = {};

	write_some(&out, "alpha");
	for (size_t n = 0; n < out.n; n++)
		CHECK_EQ(vpmu_tasks_decode(out.text, n, &reader, &seen), -EBADMSG);
}

int main(void)
{
	return test_main();
}

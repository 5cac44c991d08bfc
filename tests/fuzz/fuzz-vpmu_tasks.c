/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The section of a recording that tells who ran in its guests. */
#include "fuzz.h"
#include "format/vpmu_tasks.h"

static int see_process(const struct vpmu_tasks_process *process, void *data)
{
	(void)process;
	(*(unsigned int *)data)++;
	return 0;
}

static int see_map(const struct vpmu_tasks_map *map, void *data)
{
	HOLDS(*(unsigned int *)data > 0 && map->end >= map->start && map->build_id_bytes <= sizeof(map->build_id));
	touch_string(map->path);
	return 0;
}

static int see_task(const struct vpmu_tasks_task *task, void *data)
{
	(void)data;
	touch_string(task->name);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct vpmu_tasks_reader reader = { see_process, see_map, see_task };
	char *copy = exact_copy(bytes, size);
	unsigned int n = 0;

	vpmu_tasks_decode(copy, size, &reader, &n);
	free(copy);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names and address spaces of threads over time.
 *
 * A recording holds one ring buffer per CPU, emptied in turn, so neither samples nor side records
 * come in order of time. perf sorts everything, which costs it memory by samples. Here only the
 * side records are sorted (there are few) and turned into histories; samples then come in any
 * order and ask what was true at their time.
 *
 *   thread    tid -> [(from, name) …]
 *   process   pid -> [(from, address space) …]
 *
 * Rules, those of perf (tools/perf/util/machine.c, thread.c) unless said:
 *
 *   fork      a new thread has its creator's name. A new process has its parent's address space:
 *             the same number, since the symbolizer copies a space when somebody maps something
 *             over something else in it.
 *   exec      (COMM with the exec flag) starts an empty space. perf keeps the old mappings until
 *             new ones cover them.
 *   exit      changes nothing: samples of a dying thread are still its own. A reused number
 *             starts with a fork.
 *   before    a thread's or process's first record, what the first record says counts.
 *   unknown   threads have the name of their process; perf calls them ":tid".
 *
 * What perf reads from /proc at its start it writes as records of time 0, forks included. Such a
 * fork tells who the parent is, not that an address space was inherited: both sides' mappings
 * follow. (perf marks these PERF_RECORD_MISC_FORK_EXEC; their time in the record's body is 0,
 * which no kernel writes.)
 */
#include <errno.h>
#include <stdlib.h>

#include "session/process.h"
#include "util/hash.h"
#include "util/idtable.h"
#include "util/intern.h"
#include "util/macro.h"
#include "util/vec.h"

/* From @time on, until the next point. */
struct point {
	uint64_t time;
	uint32_t value;
};

/* Of a tid: names (numbers of strings). Of a pid: spaces. */
struct history {
	uint32_t id;
	VEC(struct point) points; /* by time */
};

struct histories {
	VEC(struct history) all;
	struct idtable ids;
};

/* A side record, waiting to be applied. */
struct change {
	uint64_t time;
	size_t order; /* of arrival: decides between equal times */
	enum { CHANGE_MAP, CHANGE_NAME, CHANGE_EXEC, CHANGE_FORK } kind;
	uint32_t pid, tid;
	union {
		uint32_t name;
		struct {
			uint32_t ppid, ptid;
			bool inherits;
		} fork;
		size_t map; /* index into maps */
	};
};

/* Answers given: what holds for a thread in [from, until). */
struct answer {
	uint64_t from, until;
	uint32_t pid, tid;
	struct process_view view;
};

#define N_ANSWERS 1024 /* direct-mapped by tid: threads that take turns on the CPUs */

struct processes {
	struct vpmu_symbolizer *symbolizer;
	struct intern *names, *paths;
	struct histories threads, spaces;
	VEC(struct change) changes;
	VEC(struct perf_mmap_record) maps;
	struct answer answers[N_ANSWERS];
};

struct processes *processes_new(struct vpmu_symbolizer *symbolizer)
{
	_cleanup_(processes_freep) struct processes *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->symbolizer = symbolizer;
	p->names = intern_new();
	p->paths = intern_new();
	if (!p->names || !p->paths)
		return NULL;
	return take_ptr(p);
}

static void histories_deinit(struct histories *h)
{
	vec_for_each(one, &h->all)
		vec_free(&one->points);
	vec_free(&h->all);
	idtable_deinit(&h->ids);
}

struct processes *processes_free(struct processes *p)
{
	if (!p)
		return NULL;
	histories_deinit(&p->threads);
	histories_deinit(&p->spaces);
	vec_free(&p->changes);
	vec_free(&p->maps);
	intern_free(p->names);
	intern_free(p->paths);
	free(p);
	return NULL;
}

/* ---- records ---- */

static int add_change(struct processes *p, const struct change *change)
{
	if (!vec_push(&p->changes, *change))
		return -ENOMEM;
	p->changes.items[p->changes.n - 1].order = p->changes.n;
	return 0;
}

int processes_mmap(struct processes *p, uint64_t time, const struct perf_mmap_record *map)
{
	struct perf_mmap_record copy = *map;
	uint32_t path = intern_add(p->paths, map->path);

	if (path == INTERN_FAILED)
		return -ENOMEM;
	copy.path = intern_string(p->paths, path);
	if (!vec_push(&p->maps, copy))
		return -ENOMEM;
	return add_change(p, &(struct change){ .time = time, .kind = CHANGE_MAP, .pid = map->pid,
					       .tid = map->tid, .map = p->maps.n - 1 });
}

int processes_comm(struct processes *p, uint64_t time, const struct perf_comm_record *comm)
{
	uint32_t name = intern_add(p->names, comm->comm);

	if (name == INTERN_FAILED)
		return -ENOMEM;
	return add_change(p, &(struct change){
		.time = time,
		.kind = comm->exec ? CHANGE_EXEC : CHANGE_NAME,
		.pid = comm->pid,
		.tid = comm->tid,
		.name = name,
	});
}

const char *processes_name(struct processes *p, const char *name, uint32_t *ret_id)
{
	uint32_t id = intern_add(p->names, name);

	if (id == INTERN_FAILED)
		return NULL;
	*ret_id = id;
	return intern_string(p->names, id);
}

int processes_fork(struct processes *p, uint64_t time, const struct perf_task_record *task)
{
	/* A process without a parent here (1, 2, or cut off by a container) is told as its own. */
	if (task->tid == task->ptid)
		return 0;
	return add_change(p, &(struct change){
		.time = time,
		.kind = CHANGE_FORK,
		.pid = task->pid,
		.tid = task->tid,
		.fork.ppid = task->ppid,
		.fork.ptid = task->ptid,
		.fork.inherits = task->time != 0,
	});
}

int processes_exit(struct processes *p, uint64_t time, const struct perf_task_record *task)
{
	(void)p, (void)time, (void)task;
	return 0;
}

/* ---- histories ---- */

static struct history *history_find(const struct histories *h, uint32_t id)
{
	uint32_t hash = (uint32_t)hash_mix(id, 0), at, i = idtable_first(&h->ids, hash);

	for (; (at = idtable_at(&h->ids, i, hash)) != IDTABLE_END; i = idtable_step(&h->ids, i))
		if (at != IDTABLE_OTHER && h->all.items[at].id == id)
			return &h->all.items[at];
	return NULL;
}

/* Index of the point that holds at @time: the last one that is not later, else the first. */
static size_t point_at(const struct history *h, uint64_t time)
{
	size_t low = 0, high = h->points.n;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (h->points.items[mid].time <= time)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/*
 * Records that come late (a live session's rings are not emptied at one instant) are put where
 * they belong.
 */
static int history_set(struct histories *h, uint32_t id, uint64_t time, uint32_t value)
{
	struct history *one = history_find(h, id);
	size_t i;

	if (!one) {
		if (!vec_reserve(&h->all, 1) ||
		    !idtable_put(&h->ids, (uint32_t)hash_mix(id, 0), (uint32_t)h->all.n))
			return -ENOMEM;
		one = &h->all.items[h->all.n++];
		*one = (struct history){ .id = id };
	}
	i = one->points.n;
	while (i > 0 && one->points.items[i - 1].time > time)
		i--;
	if (i > 0 && one->points.items[i - 1].value == value)
		return 0;
	if (i > 0 && one->points.items[i - 1].time == time) {
		one->points.items[i - 1].value = value;
		return 0;
	}
	if (!vec_reserve(&one->points, 1))
		return -ENOMEM;
	memmove(one->points.items + i + 1, one->points.items + i,
		(one->points.n++ - i) * sizeof(struct point));
	one->points.items[i] = (struct point){ .time = time, .value = value };
	return 0;
}

static uint32_t history_get(const struct histories *h, uint32_t id, uint64_t time,
			    uint32_t otherwise)
{
	const struct history *one = history_find(h, id);

	return one ? one->points.items[point_at(one, time)].value : otherwise;
}

/* ---- applying ---- */

static int apply_map(struct processes *p, const struct change *c)
{
	uint32_t space = history_get(&p->spaces, c->pid, c->time, SPACE_NONE);

	if (space == SPACE_NONE)
		space = symbolizer_space_new(p->symbolizer);
	if (space != UINT32_MAX)
		space = symbolizer_space_map(p->symbolizer, space, &p->maps.items[c->map]);
	if (space == UINT32_MAX)
		return -ENOMEM;
	return history_set(&p->spaces, c->pid, c->time, space);
}

static int apply_fork(struct processes *p, const struct change *c)
{
	uint32_t name = history_get(&p->threads, c->fork.ptid, c->time, INTERN_FAILED);
	int r = 0;

	if (name == INTERN_FAILED)
		name = history_get(&p->threads, c->fork.ppid, c->time, INTERN_FAILED);
	if (name != INTERN_FAILED)
		r = history_set(&p->threads, c->tid, c->time, name);
	if (r < 0 || c->pid == c->fork.ppid || !c->fork.inherits)
		return r;
	return history_set(&p->spaces, c->pid, c->time,
			   history_get(&p->spaces, c->fork.ppid, c->time, SPACE_NONE));
}

static int apply_exec(struct processes *p, const struct change *c)
{
	uint32_t space = symbolizer_space_new(p->symbolizer);
	int r;

	if (space == UINT32_MAX)
		return -ENOMEM;
	r = history_set(&p->spaces, c->pid, c->time, space);
	return r < 0 ? r : history_set(&p->threads, c->tid, c->time, c->name);
}

static int apply(struct processes *p, const struct change *c)
{
	switch (c->kind) {
	case CHANGE_MAP:
		return apply_map(p, c);
	case CHANGE_NAME:
		return history_set(&p->threads, c->tid, c->time, c->name);
	case CHANGE_EXEC:
		return apply_exec(p, c);
	case CHANGE_FORK:
		return apply_fork(p, c);
	}
	return 0;
}

static int by_time(const void *pa, const void *pb)
{
	const struct change *a = pa, *b = pb;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

int processes_settle(struct processes *p)
{
	int r = 0;

	if (!p->changes.n)
		return 0;
	qsort(p->changes.items, p->changes.n, sizeof(*p->changes.items), by_time);
	for (size_t i = 0; i < p->changes.n && r == 0; i++)
		r = apply(p, &p->changes.items[i]);
	vec_free(&p->changes);
	vec_free(&p->maps);
	memset(p->answers, 0, sizeof(p->answers));
	return r;
}

/* ---- asking ---- */

/* The value at @time; narrows [*from, *until) to the stretch in which it holds. */
static uint32_t value_at(const struct history *h, uint64_t time, uint64_t *from, uint64_t *until)
{
	size_t i = point_at(h, time);

	if (i > 0 && h->points.items[i].time > *from)
		*from = h->points.items[i].time;
	if (i + 1 < h->points.n && h->points.items[i + 1].time < *until)
		*until = h->points.items[i + 1].time;
	return h->points.items[i].value;
}

static void answer_find(struct processes *p, uint32_t pid, uint32_t tid, uint64_t time,
			struct answer *answer)
{
	const struct history *names = history_find(&p->threads, tid);
	const struct history *spaces = history_find(&p->spaces, pid);

	*answer = (struct answer){ .until = UINT64_MAX, .pid = pid, .tid = tid, .view.comm = "" };
	if (!names)
		names = history_find(&p->threads, pid);
	if (names) {
		answer->view.comm_id = value_at(names, time, &answer->from, &answer->until);
		answer->view.comm = intern_string(p->names, answer->view.comm_id);
	} else if (pid == 0) {
		answer->view.comm_id = intern_add(p->names, "swapper");
		if (answer->view.comm_id == INTERN_FAILED)
			answer->view.comm_id = 0;
		answer->view.comm = intern_string(p->names, answer->view.comm_id);
	}
	if (spaces)
		answer->view.space = value_at(spaces, time, &answer->from, &answer->until);
}

void processes_at(struct processes *p, uint32_t pid, uint32_t tid, uint64_t time,
		  struct process_view *ret_view)
{
	struct answer *answer = &p->answers[tid % N_ANSWERS];

	if (answer->tid != tid || answer->pid != pid || time < answer->from ||
	    time >= answer->until)
		answer_find(p, pid, tid, time, answer);
	*ret_view = answer->view;
}

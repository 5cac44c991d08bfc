/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process is an address space of a guest (its mm_struct) together with the id that it has. Its maps are not read when
 * it is first seen, in the middle of a round, but after it, a few processes at a time; what is sampled in between lies in the same space
 * and has its names by the time anybody asks. A process that is gone by then stays without maps.
 *
 * What was mapped keeps its meaning: if another file turns up where one was, the process gets a new entry from there on.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "format/elf_head.h"
#include "format/vpmu_tasks.h"
#include "guest/code_areas.h"
#include "session/guest_tasks.h"
#include "sym/guest_tables.h"
#include "util/hash.h"
#include "util/idtable.h"
#include "util/intern.h"
#include "util/log.h"
#include "util/macro.h"
#include "util/vec.h"

#define TASKS_MAX     65536u
#define PROCESSES_MAX 16384u
#define MAPS_MAX      1024u /* of a process, with code */
#define ALL_MAPS_MAX  (128u << 10)
#define PATHS_BYTES   (8u << 20)
#define READ_AGAIN_NS 200000000u
/* Of symbols that lie in the guests' memory: a C library takes 200 KiB, all that a desktop runs some 30 MiB. */
#define RESIDENT_BYTES (64u << 20)
/*
 * Of that a guest has its share, or one with programs without end would leave the others without names. There is one share more than
 * guests, for who comes later; who comes when all is taken waits until it begins anew.
 */
#define RESIDENT_SHARE(n_guests) (RESIDENT_BYTES / ((n_guests) + 1))
#define VDSO_BYTES_MAX (64u << 10)
/* A session that goes on for months begins anew at a moment when nobody has numbers, once it has so many. */
#define ENOUGH_TASKS	 8192u
#define ENOUGH_PROCESSES 2048u
#define ENOUGH_MAPS	 (32u << 10)

struct map {
	uint64_t start, end, offset_bytes;
	const char *path; /* interned */
	uint8_t build_id[20], build_id_bytes;
};

struct process {
	uint64_t mm_gva;
	uint64_t task_gva; /* one of its tasks, seen last */
	uint64_t read_at_ns; /* not to be read again before */
	uint32_t guest, space;
	int32_t pid;
	bool wanted; /* its maps are to be read */
	bool retired; /* another entry goes on */
	uint64_t left_gva; /* for the symbols of files that are mapped from here on there was no time; 0: there are none */
	VEC(struct map) maps;
};

struct task {
	uint32_t guest, process, comm_id;
	int32_t tid, pid;
	const char *comm;
};

/* What a guest's symbols take. */
struct resident_use {
	bool has_processes;
	size_t n_bytes;
};

struct guest_tasks {
	struct processes *names; /* of the host's threads, and ours */
	struct vpmu_symbolizer *symbolizer;
	struct intern *paths;
	VEC(struct process) processes;
	VEC(struct task) tasks;
	struct idtable process_ids, task_ids;
	size_t n_maps, path_bytes, resident_bytes;
	VEC(struct resident_use) resident; /* by guest */
	size_t n_guests, n_guests_before;  /* that have processes; before it began anew */
	size_t turn; /* whose maps were read last: processes take turns, downwards */
	bool some_wanted, said_full;
};

struct guest_tasks *guest_tasks_new(struct processes *processes, struct vpmu_symbolizer *symbolizer)
{
	struct guest_tasks *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->names = processes;
	t->symbolizer = symbolizer;
	t->paths = intern_new();
	return t->paths ? t : guest_tasks_free(t);
}

static void drop_all(struct guest_tasks *t)
{
	vec_for_each (process, &t->processes)
		vec_free(&process->maps);
	vec_free(&t->processes);
	vec_free(&t->tasks);
	idtable_deinit(&t->process_ids);
	idtable_deinit(&t->task_ids);
	vec_free(&t->resident);
	t->n_guests_before = t->n_guests;
	t->n_guests = 0;
	t->n_maps = t->path_bytes = t->resident_bytes = t->turn = 0;
	t->some_wanted = t->said_full = false;
}

void guest_tasks_forget(struct guest_tasks *t)
{
	struct intern *paths;

	if (t->tasks.n < ENOUGH_TASKS && t->processes.n < ENOUGH_PROCESSES && t->n_maps < ENOUGH_MAPS &&
	    t->path_bytes < PATHS_BYTES / 2 && t->resident_bytes < RESIDENT_BYTES / 2)
		return;
	paths = intern_new();
	if (!paths || !symbolizer_forget_spaces(t->symbolizer)) {
		intern_free(paths);
		return;
	}
	drop_all(t);
	intern_free(t->paths);
	t->paths = paths;
}

/* A guest may have more than is good for us; it is not silence that tells. */
static void say_full(struct guest_tasks *t, const char *what)
{
	if (!t->said_full)
		log_warn("too many %s in the guests: samples of others tell less of them from here on", what);
	t->said_full = true;
}

struct guest_tasks *guest_tasks_free(struct guest_tasks *t)
{
	if (!t)
		return NULL;
	drop_all(t);
	intern_free(t->paths);
	free(t);
	return NULL;
}

/* ---- numbers ---- */

/* NULL = out of memory. */
static struct resident_use *resident_of(struct guest_tasks *t, uint32_t guest)
{
	while (t->resident.n <= guest)
		if (!vec_push(&t->resident, (struct resident_use){}))
			return NULL;
	return &t->resident.items[guest];
}

static bool know_guest(struct guest_tasks *t, uint32_t guest)
{
	struct resident_use *use = resident_of(t, guest);

	if (!use)
		return false;
	t->n_guests += !use->has_processes;
	use->has_processes = true;
	return true;
}

bool guest_tasks_may_keep(const struct guest_tasks *t, uint32_t guest)
{
	size_t n_bytes = guest < t->resident.n ? t->resident.items[guest].n_bytes : 0;

	return t->resident_bytes < RESIDENT_BYTES && n_bytes < RESIDENT_SHARE(MAX(t->n_guests, t->n_guests_before));
}

void guest_tasks_keep(struct guest_tasks *t, uint32_t guest, size_t n_bytes)
{
	struct resident_use *use = resident_of(t, guest);

	t->resident_bytes += n_bytes;
	if (use)
		use->n_bytes += n_bytes;
}

static uint32_t process_new(struct guest_tasks *t, uint32_t guest, int32_t pid, uint64_t mm_gva)
{
	uint32_t space;

	if (t->processes.n >= PROCESSES_MAX)
		say_full(t, "processes");
	if (t->processes.n >= PROCESSES_MAX || !vec_reserve(&t->processes, 1) || !know_guest(t, guest))
		return VPMU_TASKS_NO_PROCESS;
	space = symbolizer_guest_space(t->symbolizer, guest);
	if (space == UINT32_MAX)
		return VPMU_TASKS_NO_PROCESS;
	t->processes.items[t->processes.n] =
		(struct process){.mm_gva = mm_gva, .guest = guest, .pid = pid, .space = space};
	return (uint32_t)t->processes.n++;
}

static uint32_t process_of(struct guest_tasks *t, uint32_t guest, const struct vpmu_bpf_task *task)
{
	uint32_t hash = (uint32_t)hash_mix(task->mm_gva, guest | (uint64_t)(uint32_t)task->tgid << 32);
	uint32_t id, i = idtable_first(&t->process_ids, hash);

	for (; (id = idtable_at(&t->process_ids, i, hash)) != IDTABLE_END; i = idtable_step(&t->process_ids, i)) {
		const struct process *p = id == IDTABLE_OTHER ? NULL : &t->processes.items[id];

		if (p && !p->retired && p->mm_gva == task->mm_gva && p->guest == guest && p->pid == task->tgid)
			return id;
	}
	id = process_new(t, guest, task->tgid, task->mm_gva);
	if (id == VPMU_TASKS_NO_PROCESS || !idtable_put(&t->process_ids, hash, id))
		return VPMU_TASKS_NO_PROCESS;
	t->processes.items[id].wanted = t->some_wanted = true;
	return id;
}

/* Sixteen bytes of the guest's, as text. */
static void take_comm(const char *from, char to[VPMU_BPF_COMM_BYTES + 1])
{
	memcpy(to, from, VPMU_BPF_COMM_BYTES);
	to[VPMU_BPF_COMM_BYTES] = '\0';
	for (char *p = to; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static uint32_t task_add(struct guest_tasks *t, const struct task *task)
{
	uint32_t hash = (uint32_t)hash_mix(task->guest | (uint64_t)task->process << 32,
					   (uint32_t)task->tid | (uint64_t)task->comm_id << 32);
	uint32_t id, i = idtable_first(&t->task_ids, hash);

	for (; (id = idtable_at(&t->task_ids, i, hash)) != IDTABLE_END; i = idtable_step(&t->task_ids, i)) {
		const struct task *other = id == IDTABLE_OTHER ? NULL : &t->tasks.items[id];

		if (other && other->guest == task->guest && other->process == task->process &&
		    other->tid == task->tid && other->comm_id == task->comm_id && other->pid == task->pid)
			return id;
	}
	id = (uint32_t)t->tasks.n;
	if (id >= TASKS_MAX)
		say_full(t, "threads");
	if (id >= TASKS_MAX || !vec_reserve(&t->tasks, 1) || !idtable_put(&t->task_ids, hash, id))
		return GUEST_TASK_NONE;
	t->tasks.items[t->tasks.n++] = *task;
	return id;
}

uint32_t guest_tasks_note(struct guest_tasks *t, uint32_t guest, const struct vpmu_bpf_task *from, uint64_t ip,
			  uint64_t now_ns)
{
	struct task task = {
		.guest = guest,
		.process = VPMU_TASKS_NO_PROCESS,
		.tid = from->pid,
		.pid = from->tgid,
	};
	char comm[VPMU_BPF_COMM_BYTES + 1];
	struct process *process;

	/* What no kernel has: the tables that led here were not a kernel's. */
	if (!from->gva || from->tgid < 0 || from->pid < from->tgid)
		return GUEST_TASK_NONE;
	take_comm(from->comm, comm);
	task.comm = processes_name(t->names, comm, &task.comm_id);
	if (!task.comm)
		return GUEST_TASK_NONE;
	if (from->mm_gva) {
		task.process = process_of(t, guest, from);
		if (task.process == VPMU_TASKS_NO_PROCESS)
			return GUEST_TASK_NONE;
		process = &t->processes.items[task.process];
		process->task_gva = from->gva;
		if (ip && !process->wanted && now_ns >= process->read_at_ns &&
		    !symbolizer_is_mapped(t->symbolizer, process->space, ip))
			process->wanted = t->some_wanted = true;
	}
	return task_add(t, &task);
}

bool guest_tasks_at(const struct guest_tasks *t, uint32_t number, struct guest_task_view *ret)
{
	const struct task *task = number < t->tasks.n ? &t->tasks.items[number] : NULL;

	if (!task)
		return false;
	*ret = (struct guest_task_view){
		.pid = task->pid,
		.tid = task->tid,
		.comm = task->comm,
		.comm_id = task->comm_id,
		.space = task->process < t->processes.n ? t->processes.items[task->process].space : SPACE_NONE,
	};
	return true;
}

/* ---- maps ---- */

static bool same_place(const struct map *a, const struct map *b)
{
	return a->path == b->path && a->start - a->offset_bytes == b->start - b->offset_bytes;
}

/* 1: there is something else; 0: it is there already or fits. */
static int contradicts(const struct process *process, const struct map *map, bool *ret_known)
{
	*ret_known = false;
	vec_for_each (old, &process->maps) {
		if (old->start >= map->end || map->start >= old->end)
			continue;
		if (!same_place(old, map))
			return 1;
		*ret_known |= old->start <= map->start && old->end >= map->end;
	}
	return 0;
}

static int add_map(struct guest_tasks *t, struct process *process, const struct map *map, const void *head)
{
	struct perf_mmap_record record = {
		.start = map->start,
		.length_bytes = map->end - map->start,
		.pgoff_bytes = map->offset_bytes,
		.prot = PROT_READ | PROT_EXEC,
		.path = map->path,
		.build_id_bytes = map->build_id_bytes,
	};
	uint32_t space;

	if (process->maps.n >= MAPS_MAX || t->n_maps >= ALL_MAPS_MAX) {
		say_full(t, "memory maps");
		return 0;
	}
	t->n_maps++;
	memcpy(record.build_id, map->build_id, map->build_id_bytes);
	space = symbolizer_guest_map(t->symbolizer, process->space, &record, head);
	if (space == UINT32_MAX || !vec_push(&process->maps, *map))
		return -ENOMEM;
	process->space = space;
	return 0;
}

struct reading {
	struct guest_tasks *tasks;
	struct process *process;
	struct vpmu_kernel *kernel;
	uint64_t until_ns;
	uint64_t left_gva; /* the process's, as it was before */
	bool some_taken;
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One file at least each time, so that it comes to an end. */
static bool has_time(const struct reading *reading)
{
	return !reading->some_taken || clock_ns() < reading->until_ns;
}

/* What of the file's symbols is in memory now, may not be when somebody asks for a name. */
static int take_resident(struct reading *reading, const struct code_area *area)
{
	struct process *process = reading->process;
	struct parser_process who = {process->task_gva, process->mm_gva, process->pid};
	struct guest_tasks *t = reading->tasks;
	struct symtab *table = NULL;
	size_t n;
	int r;

	if (!area->head || !guest_tasks_may_keep(t, process->guest) ||
	    !symbolizer_guest_needs_resident(t->symbolizer, process->space, area->start_gva))
		return 0;
	if (!has_time(reading)) {
		if (!process->left_gva)
			process->left_gva = area->start_gva;
		return 0;
	}
	reading->some_taken = true;
	r = guest_tables_exported(reading->kernel, &who, area, &table, &n);
	guest_tasks_keep(t, process->guest, n);
	if (r == 0 || r == -ENODATA)
		symbolizer_guest_resident(t->symbolizer, process->space, area->start_gva, table);
	return r == -ENOMEM || r == -ESRCH ? r : 0;
}

/* The kernel's own piece of each process, for unwinding. */
static void take_vdso(const struct reading *reading, const struct code_area *area)
{
	_free_ uint8_t *bytes = NULL;
	size_t n = 0;
	int r;

	if (!streq(area->path, "[vdso]") ||
	    !symbolizer_guest_needs_image(reading->tasks->symbolizer, reading->process->space, area->start_gva))
		return;
	bytes = malloc(VDSO_BYTES_MAX);
	r = bytes ? code_area_vdso(area, bytes, VDSO_BYTES_MAX, &n) : -ENOMEM;
	if (r == 0)
		symbolizer_guest_image(reading->tasks->symbolizer, reading->process->space, area->start_gva, bytes, n);
	else
		log_debug("the guest's vDSO cannot be read: %s", strerror(-r));
}

static int see_area(const struct code_area *area, void *data)
{
	struct reading *reading = data;
	struct map map = {.start = area->start_gva, .end = area->end_gva, .offset_bytes = area->offset_bytes};
	struct guest_tasks *t = reading->tasks;
	uint32_t path, before = intern_count(t->paths);
	bool known;
	int r;

	if (t->path_bytes >= PATHS_BYTES || reading->process->maps.n >= MAPS_MAX || t->n_maps >= ALL_MAPS_MAX) {
		say_full(t, "memory maps");
		return 1;
	}
	path = intern_add(t->paths, area->path);
	if (path == INTERN_FAILED)
		return -ENOMEM;
	if (intern_count(t->paths) > before)
		t->path_bytes += strlen(area->path) + ELF_HEAD_BYTES; /* the file's first page is kept, too */
	map.path = intern_string(t->paths, path);
	if (contradicts(reading->process, &map, &known)) {
		reading->process->retired = true;
		return 1;
	}
	if (known)
		return reading->left_gva && area->start_gva >= reading->left_gva ? take_resident(reading, area) : 0;
	memcpy(map.build_id, area->build_id, area->build_id_bytes);
	map.build_id_bytes = area->build_id_bytes;
	r = add_map(t, reading->process, &map, area->head);
	if (r < 0)
		return r;
	take_vdso(reading, area);
	return take_resident(reading, area);
}

static int read_maps(struct guest_tasks *t, struct process *process, uint64_t now_ns, uint64_t until_ns)
{
	struct vpmu_kernel *kernel = symbolizer_guest_kernel(t->symbolizer, process->guest);
	/* No time at all: not for one file's symbols either. */
	struct reading reading = {t, process, kernel, until_ns, process->left_gva, !until_ns};
	int r;

	process->wanted = false;
	process->left_gva = 0;
	process->read_at_ns = now_ns + READ_AGAIN_NS;
	if (!kernel)
		return 0;
	r = code_areas_each(kernel, process->task_gva, process->pid, process->mm_gva, see_area, &reading);
	process->wanted = process->left_gva && r == 0;
	return r == -ENOMEM ? r : 0;
}

int guest_tasks_read_now(struct guest_tasks *t, uint32_t number, uint64_t now_ns)
{
	uint32_t i = number < t->tasks.n ? t->tasks.items[number].process : VPMU_TASKS_NO_PROCESS;
	struct process *process = i < t->processes.n ? &t->processes.items[i] : NULL;

	return process && process->wanted && !process->retired ? read_maps(t, process, now_ns, 0) : 0;
}

int guest_tasks_read_maps(struct guest_tasks *t, uint64_t now_ns, uint64_t budget_ns)
{
	uint64_t until_ns = clock_ns() + budget_ns;
	bool some_wanted = false;

	if (!t->some_wanted)
		return 0;
	for (size_t n = t->processes.n; n > 0; n--) {
		size_t i = t->turn ? t->turn - 1 : t->processes.n - 1;
		struct process *process = &t->processes.items[i];
		int r;

		if (process->wanted && !process->retired) {
			if (clock_ns() >= until_ns)
				return 0; /* some are still wanted */
			r = read_maps(t, process, now_ns, until_ns);
			if (r < 0)
				return r;
			some_wanted |= process->wanted;
		}
		t->turn = i;
	}
	t->some_wanted = some_wanted;
	return 0;
}

/* ---- in recordings ---- */

int guest_tasks_save(const struct guest_tasks *t, struct strbuf *out)
{
	vpmu_tasks_put_head(out, (uint32_t)t->processes.n, (uint32_t)t->tasks.n);
	vec_for_each (process, &t->processes) {
		size_t entry = vpmu_tasks_put_process(
			out, &(struct vpmu_tasks_process){.guest = process->guest, .pid = process->pid});

		vec_for_each (map, &process->maps) {
			struct vpmu_tasks_map put = {
				.start = map->start,
				.end = map->end,
				.offset_bytes = map->offset_bytes,
				.path = map->path,
				.build_id_bytes = map->build_id_bytes,
			};

			memcpy(put.build_id, map->build_id, map->build_id_bytes);
			vpmu_tasks_put_map(out, entry, &put);
		}
	}
	vec_for_each (task, &t->tasks)
		vpmu_tasks_put_task(out, &(struct vpmu_tasks_task){.guest = task->guest,
								   .process = task->process,
								   .tid = task->tid,
								   .pid = task->pid,
								   .name = task->comm});
	return out->failed ? -ENOMEM : 0;
}

static int load_process(const struct vpmu_tasks_process *from, void *data)
{
	struct guest_tasks *t = data;

	if (from->guest >= symbolizer_n_guests(t->symbolizer) || t->processes.n >= PROCESSES_MAX)
		return -EBADMSG;
	return process_new(t, from->guest, from->pid, 0) == VPMU_TASKS_NO_PROCESS ? -ENOMEM : 0;
}

static int load_map(const struct vpmu_tasks_map *from, void *data)
{
	struct guest_tasks *t = data;
	struct map map = {
		.start = from->start,
		.end = from->end,
		.offset_bytes = from->offset_bytes,
		.build_id_bytes = from->build_id_bytes,
	};
	uint32_t path = intern_add(t->paths, from->path);

	if (path == INTERN_FAILED)
		return -ENOMEM;
	map.path = intern_string(t->paths, path);
	memcpy(map.build_id, from->build_id, from->build_id_bytes);
	return add_map(t, &t->processes.items[t->processes.n - 1], &map, NULL);
}

/* Numbers are places in the list, so each entry takes one, whatever it says. */
static int load_task(const struct vpmu_tasks_task *from, void *data)
{
	struct guest_tasks *t = data;
	struct task task = {.guest = from->guest, .process = from->process, .tid = from->tid, .pid = from->pid};
	bool kernel_thread = from->process == VPMU_TASKS_NO_PROCESS;

	if (t->tasks.n >= TASKS_MAX || (!kernel_thread && from->process >= t->processes.n))
		return -EBADMSG;
	if (!kernel_thread && t->processes.items[from->process].guest != from->guest)
		return -EBADMSG;
	task.comm = processes_name(t->names, from->name, &task.comm_id);
	return task.comm && vec_push(&t->tasks, task) ? 0 : -ENOMEM;
}

int guest_tasks_load(struct guest_tasks *t, const void *bytes, size_t n)
{
	static const struct vpmu_tasks_reader reader = {load_process, load_map, load_task};

	return vpmu_tasks_decode(bytes, n, &reader, t);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes corpus/kernel_walks out of a copy of a guest's memory (QEMU's pmemsave): the lines of its memory that are read on the walks through modules, tasks and one
 * process's areas. Its symbol table and its type information, which take megabytes, are replaced by small ones that have
 * what was asked for; the kernel's first pages, which nobody reads, make room for them.
 *
 * Of the tasks only the first few stay, and PROCESS; of the symbols of modules, those of the two that are named below.
 *
 * usage: record-kernel MEMORY PROCESS FILE
 * PROCESS is the pid of one inside the guest, for instance of tests/lab/introspect.
 */
#include <bpf/btf.h>
#include <stdbool.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* What is asked of the type information, and what is read of memory, is written down. */
#define btf_types_offset quiet_types_offset
#define btf_types_size	 quiet_types_size
#include "../../lib/format/btf_types.c"
#undef btf_types_offset
#undef btf_types_size
#undef MAGIC
#undef DEPTH_MAX
#define memory_read	  quiet_read
#define memory_read_large quiet_read_large
#include "../../lib/guest/memory.c"
#undef memory_read
#undef memory_read_large

#define KALLSYMS_MADE 1800 /* fewer are not taken for tables */
#include "unit/kallsyms_maker.h"
#include "fuzz.h"
#include "guest/bpf_symbols.h"
#include "guest/code_areas.h"
#include "guest/current.h"
#include "guest/kernel_types.h"
#include "guest/modules.h"
#include "guest/tasks.h"
#include "sparse_image.h"

#define LINES_MAX   4096
#define SYMBOLS_AT  0x10000u /* in the kernel's image */
#define TYPES_AT    0x20000u
#define TASKS_KEPT  4
#define LARGE_BYTES (64u << 10) /* symbol tables, type information */

static struct sparse_line lines[LINES_MAX];
static size_t n_lines;
static bool recording;

static void note_line(uint64_t gpa, const void *bytes)
{
	static const uint8_t nothing[SPARSE_LINE_BYTES];
	size_t i = 0;

	while (i < n_lines && lines[i].gpa != gpa)
		i++;
	if (i == n_lines && memcmp(bytes, nothing, sizeof(nothing)) == 0)
		return;
	HOLDS(i < LINES_MAX);
	lines[i].gpa = gpa;
	memcpy(lines[i].bytes, bytes, SPARSE_LINE_BYTES);
	n_lines += i == n_lines;
}

/* Words that are read as something else than they are. */
static struct {
	uint64_t gpa, value;
} changes[3];
static size_t n_changes;

static void change_bytes(uint64_t gpa, void *bytes, size_t n)
{
	for (size_t i = 0; i < n_changes; i++)
		if (changes[i].gpa >= gpa && changes[i].gpa - gpa + 8 <= n)
			memcpy((char *)bytes + (changes[i].gpa - gpa), &changes[i].value, 8);
}

static void note_bytes(struct memory *memory, uint64_t gpa, size_t n)
{
	uint8_t line[SPARSE_LINE_BYTES];

	for (uint64_t at = gpa & ~63ull; recording && n < LARGE_BYTES && at < gpa + n; at += SPARSE_LINE_BYTES)
		if (quiet_read(memory, at, line, sizeof(line)) == 0) {
			change_bytes(at, line, sizeof(line));
			note_line(at, line);
		}
}

int memory_read(struct memory *memory, uint64_t gpa, void *bytes, size_t n)
{
	int r = quiet_read(memory, gpa, bytes, n);

	note_bytes(memory, gpa, n);
	if (r == 0)
		change_bytes(gpa, bytes, n);
	return r;
}

int memory_read_large(struct memory *memory, uint64_t gpa, void *bytes, size_t n)
{
	note_bytes(memory, gpa, n);
	return quiet_read_large(memory, gpa, bytes, n);
}

/* ---- types: the structs that were asked about, with the members that were asked for ---- */

static struct asked {
	char type[40], path[64]; /* "" = its size */
} asked[512];
static size_t n_asked;

static void note_asked(const char *type, const char *path)
{
	HOLDS(n_asked < 512);
	snprintf(asked[n_asked].type, sizeof(asked->type), "%s", type);
	snprintf(asked[n_asked++].path, sizeof(asked->path), "%s", path);
}

int btf_types_offset(const struct btf_types *btf, const char *type, const char *name, uint32_t *ret_offset,
		     uint32_t *ret_bytes)
{
	note_asked(type, name);
	return quiet_types_offset(btf, type, name, ret_offset, ret_bytes);
}

int btf_types_size(const struct btf_types *btf, const char *type, uint32_t *ret_bytes)
{
	note_asked(type, "");
	return quiet_types_size(btf, type, ret_bytes);
}

static int copy_type(struct btf *to, const struct btf *from, int id, const struct asked *paths, size_t n);

/* The paths that begin with @name, without it. */
static size_t below(const struct asked *paths, size_t n, const char *name, struct asked *ret)
{
	size_t n_below = 0, name_bytes = strlen(name);

	for (size_t i = 0; i < n; i++) {
		const char *rest = paths[i].path + name_bytes;

		if (strncmp(paths[i].path, name, name_bytes) != 0 || (*rest && *rest != '.' && *rest != '['))
			continue;
		if (*rest == '[')
			rest = strchr(rest, ']') + 1;
		snprintf(ret[n_below++].path, sizeof(ret->path), "%s", *rest == '.' ? rest + 1 : rest);
	}
	return n_below;
}

/* With the members that lead on, and those without a name in which there are some. */
static int copy_struct(struct btf *to, const struct btf *from, const struct btf_type *t, const char *name,
		       const struct asked *paths, size_t n)
{
	const struct btf_member *m = btf_members(t);
	int types[1024], kept = 0, id;

	HOLDS(btf_vlen(t) <= 1024);
	for (int i = 0; i < btf_vlen(t); i++) {
		const char *member = btf__name_by_offset(from, m[i].name_off);
		struct asked rest[512];
		size_t n_rest = *member ? below(paths, n, member, rest) : n;

		if (*member)
			types[i] = n_rest ? copy_type(to, from, (int)m[i].type, rest, n_rest) : 0;
		else
			types[i] = copy_type(to, from, (int)m[i].type, paths, n);
		kept += types[i] != 0;
	}
	for (size_t i = 0; i < n; i++)
		kept += !paths[i].path[0]; /* it was asked for itself */
	if (!kept && !*name)
		return 0;
	id = btf_is_union(t) ? btf__add_union(to, name, t->size) : btf__add_struct(to, name, t->size);
	for (int i = 0; i < btf_vlen(t); i++)
		if (types[i])
			HOLDS(btf__add_field(to, btf__name_by_offset(from, m[i].name_off), types[i],
					     btf_member_bit_offset(t, (__u32)i), 0) == 0);
	return id;
}

/* 0: nothing of it is needed. */
static int copy_type(struct btf *to, const struct btf *from, int id, const struct asked *paths, size_t n)
{
	const struct btf_type *t;
	int element;

	id = btf__resolve_type(from, (__u32)id);
	t = btf__type_by_id(from, (__u32)id);
	if (btf_is_composite(t))
		return copy_struct(to, from, t, "", paths, n);
	if (btf_is_array(t)) {
		element = copy_type(to, from, (int)btf_array(t)->type, paths, n);
		return btf__add_array(to, element, element, btf_array(t)->nelems);
	}
	return btf__add_int(to, "number", btf_is_ptr(t) || t->size > 8 ? 8 : t->size, 0);
}

static struct btf *small_types(const struct btf *from)
{
	struct btf *to = btf__new_empty();

	for (size_t i = 0; i < n_asked; i++) {
		struct asked paths[512];
		size_t n = 0;
		int id = btf__find_by_name_kind(from, asked[i].type, BTF_KIND_STRUCT);

		if (id < 0 || btf__find_by_name_kind(to, asked[i].type, BTF_KIND_STRUCT) > 0)
			continue;
		for (size_t k = i; k < n_asked; k++)
			if (strcmp(asked[k].type, asked[i].type) == 0 && asked[k].path[0])
				paths[n++] = asked[k];
		HOLDS(copy_struct(to, from, btf__type_by_id(from, (__u32)id), asked[i].type, paths, n) > 0);
	}
	return to;
}

/* ---- symbols: those that lib/guest looks for ---- */

struct choice {
	const struct vpmu_kernel *kernel;
	struct kallsyms_extra chosen[64];
	char names[64][48];
	size_t n;
	bool absolute_percpu;
};

static int choose(const struct vpmu_kernel_symbol *symbol, void *data)
{
	struct choice *choice = data;

	for (size_t i = 0; i < KERNEL_SYMBOLS && !symbol->module; i++) {
		if (choice->kernel->gva[i] != symbol->gva || !symbol->gva || choice->n == 60 || strlen(symbol->name) > 40)
			continue;
		snprintf(choice->names[choice->n], 48, "%c%s", symbol->type, symbol->name);
		choice->chosen[choice->n].name = choice->names[choice->n];
		choice->chosen[choice->n++].gva = symbol->gva;
		choice->absolute_percpu |= symbol->type == 'A';
		break;
	}
	return 0;
}

static void put_into_image(const struct vpmu_kernel *kernel, uint32_t at, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i += SPARSE_LINE_BYTES) {
		uint8_t line[SPARSE_LINE_BYTES] = {};

		memcpy(line, (const char *)bytes + i, MIN(n - i, sizeof(line)));
		note_line(kernel->image.text_gpa + at + i, line);
	}
}

/* The small tables, in the place of text; the addresses of the types with them. */
static void put_tables(struct vpmu_kernel *kernel, const struct btf *types)
{
	static uint8_t bytes[KALLSYMS_BYTES];
	struct choice choice = {.kernel = kernel};
	struct kallsyms_form form = {.name = "", .long_names = true};
	uint64_t gva = kernel->image.text_gva + SYMBOLS_AT, types_gva = kernel->image.text_gva + TYPES_AT;
	unsigned int major = 0, minor = 0;
	__u32 n;
	const void *raw = btf__raw_data(types, &n);

	HOLDS(sscanf(kernel->release, "%u.%u", &major, &minor) == 2);
	HOLDS(vpmu_kernel_each_symbol(kernel, choose, &choice, NULL) == 0);
	for (size_t i = 0; i < choice.n; i++) {
		if (strcmp(choice.chosen[i].name + 1, "__start_BTF") == 0)
			choice.chosen[i].gva = types_gva;
		if (strcmp(choice.chosen[i].name + 1, "__stop_BTF") == 0)
			choice.chosen[i].gva = types_gva + n;
	}
	form.extra = choice.chosen;
	form.absolute_percpu = choice.absolute_percpu;
	form.place_relative = major >= 7;
	form.offsets_first = major < 6 || (major == 6 && minor < 4);
	put_into_image(kernel, SYMBOLS_AT, bytes, make_kallsyms(&form, gva, kernel->image.text_gva, bytes));
	put_into_image(kernel, TYPES_AT, raw, n);
}

/* ---- walking ---- */

static int see_symbol(const struct vpmu_kernel_symbol *symbol, void *data)
{
	(void)symbol;
	(void)data;
	return 0;
}

static int see_module(const struct vpmu_kernel_module *module, void *data)
{
	(void)module;
	(void)data;
	return 0;
}

static int skip_symbol(const struct elf_dynamic_symbol *symbol, void *data)
{
	(void)symbol;
	(void)data;
	return 0;
}

/* Of the dynamic linker alone: the C library has 100 KB of them. */
static int see_area(const struct code_area *area, void *data)
{
	size_t n;

	(void)data;
	return strstr(area->path, "/ld-linux") ? MIN(code_area_symbols(area, skip_symbol, NULL, &n), 0) : 0;
}

static int see_mapping(const struct vpmu_kernel_mapping *mapping, void *data)
{
	(void)mapping;
	(void)data;
	return 0;
}

struct tasks_seen {
	struct sparse_head *head;
	uint64_t last_gva; /* of those that stay */
	int n;
};

static int see_task(const struct guest_task *task, void *data)
{
	struct tasks_seen *seen = data;

	if (task->pid == task->tgid && ++seen->n == TASKS_KEPT)
		seen->last_gva = task->gva;
	if (task->pid == seen->head->pid) {
		seen->head->task_gva = task->gva;
		seen->head->mm_gva = task->mm_gva;
	}
	return 0;
}

static void change(const struct vpmu_kernel *kernel, uint64_t gva, uint64_t value)
{
	struct translation at;

	HOLDS(paging_walk(kernel->memory, &kernel->paging, gva, &at) == 0);
	changes[n_changes].gpa = at.gpa;
	changes[n_changes++].value = value;
}

/* Takes the tasks between the first few and the one that is wanted, and those behind it, out of the list. */
static void cut_tasks(struct vpmu_kernel *kernel, struct sparse_head *head)
{
	uint32_t link = kernel->types->task.tasks;
	struct tasks_seen seen = {.head = head};

	HOLDS(tasks_each(kernel, see_task, &seen) == 0 && seen.last_gva && head->task_gva);
	change(kernel, seen.last_gva + link, head->task_gva + link);
	change(kernel, head->task_gva + link + 8, seen.last_gva + link);
	change(kernel, head->task_gva + link, kernel->gva[KERNEL_INIT_TASK] + link);
}

static int see_all_tasks(const struct vpmu_kernel_task *task, void *data)
{
	(void)data;
	printf("%d %s\n", task->pid, task->comm);
	return 0;
}

static int see_module_symbols(const struct module_copy *module, void *data)
{
	if (strcmp(module->name, "stp") != 0 && strcmp(module->name, "dummy") != 0)
		return 0;
	return module_symbols_each(data, module, see_symbol, NULL);
}

static void walk(struct vpmu_kernel *kernel, struct sparse_head *head)
{
	struct vpmu_bpf_guest guest;
	struct translation at;

	HOLDS(kernel_look_again(kernel, NULL) == 0);
	HOLDS(paging_walk(kernel->memory, &kernel->paging, kernel->image.text_gva, &at) == 0);
	HOLDS(kernel_read(kernel, kernel->gva[KERNEL_LINUX_BANNER], &guest, sizeof(guest)) == 0);
	HOLDS(kernel_read(kernel, kernel->gva[KERNEL_START_NOTES], &guest, sizeof(guest)) == 0);
	HOLDS(kernel_read(kernel, kernel->gva[KERNEL_START_BTF], &guest, sizeof(guest)) == 0);
	HOLDS(modules_each(kernel, see_module_symbols, kernel) == 0);
	HOLDS(bpf_symbols_each(kernel, see_symbol, NULL) == 0);
	HOLDS(vpmu_kernel_each_module(kernel, see_module, NULL, NULL) == 0);
	HOLDS(vpmu_kernel_each_task(kernel, see_all_tasks, NULL, NULL) == 0);
	HOLDS(vpmu_kernel_each_mapping(kernel, head->pid, see_mapping, NULL, NULL) == 0);
	HOLDS(current_describe(kernel, &guest, NULL) == 0);
	HOLDS(code_areas_each(kernel, head->task_gva, head->pid, head->mm_gva, see_area, NULL) == 0);
}

int main(int argc, char **argv)
{
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = argv[1]);
	struct sparse_head head = {};
	struct vpmu_kernel *kernel;
	struct vpmu_error error;
	struct btf *types;
	void *bytes;
	size_t n;
	FILE *file;

	if (argc != 4) {
		fprintf(stderr, "usage: %s MEMORY PROCESS FILE\n", argv[0]);
		return 2;
	}
	if (vpmu_kernel_open(NULL, &opts, &kernel, &error) < 0 || kernel_types_load(kernel, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	head.ram_bytes = vpmu_kernel_info(kernel)->memory_bytes;
	head.pid = atoi(argv[2]);
	n = kernel->gva[KERNEL_STOP_BTF] - kernel->gva[KERNEL_START_BTF];
	bytes = malloc(n);
	HOLDS(bytes && kernel_read_large(kernel, kernel->gva[KERNEL_START_BTF], bytes, n) == 0);
	types = btf__new(bytes, (__u32)n);
	HOLDS(types);
	cut_tasks(kernel, &head);
	recording = true;
	walk(kernel, &head);
	recording = false;
	n_changes = 0;
	put_tables(kernel, small_types(types));
	file = fopen(argv[3], "w");
	HOLDS(file && fwrite(&head, sizeof(head), 1, file) == 1 && fwrite(lines, sizeof(*lines), n_lines, file) == n_lines);
	HOLDS(fclose(file) == 0);
	printf("%zu lines\n", n_lines);
	return 0;
}

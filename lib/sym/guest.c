/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sym/guest.h"
#include "sym/guest_files.h"
#include "sym/guest_live.h"
#include "util/error.h"
#include "util/log.h"
#include "util/macro.h"
#include "util/vec.h"

struct guest {
	const char *name, *uuid; /* interned */
	struct named_table carried; /* the kernel's table in the recording */
	struct guest_files files;
	struct guest_live *live;    /* NULL: does not run here */
	struct kernel_names *kernel; /* out of its memory, as the next two; NULL: not from there */
	uint64_t kernel_gva;
	struct named_table modules;
	struct symtab *joined;	    /* both in one, for a recording; NULL until it is asked for */
	struct files *user_files;   /* what its processes have mapped */
	bool begun, looked;	    /* into its memory */
	bool gone;		    /* it has ended */
};

/* A kernel's own symbols with their names, for all guests that run it. */
struct kernel_names {
	struct shared_table *shared;
	struct named_table names; /* its table belongs to `shared` */
	size_t n_guests;
};

struct guests_symbols {
	struct sym_env *env;
	VEC(struct kernel_names *) kernels;
	VEC(struct guest) guests;
	struct guest_files everyone; /* VPMU_NO_GUEST */
	char *types_path;	     /* likewise; NULL = none */
	char *root; /* of all guests, those to come too; NULL = none was given */
};

struct guests_symbols *guests_symbols_new(struct sym_env *env)
{
	struct guests_symbols *g = calloc(1, sizeof(*g));

	if (g)
		g->env = env;
	return g;
}

static void kernel_names_unref(struct guests_symbols *g, struct kernel_names *kernel)
{
	if (!kernel || --kernel->n_guests)
		return;
	vec_for_each (at, &g->kernels)
		if (*at == kernel) {
			*at = g->kernels.items[--g->kernels.n];
			break;
		}
	kernel->names.table = NULL;
	named_table_deinit(&kernel->names);
	shared_table_unref(kernel->shared);
	free(kernel);
}

/* @shared is taken over. NULL when out of memory. */
static struct kernel_names *kernel_names_of(struct guests_symbols *g, struct shared_table *shared)
{
	struct kernel_names *kernel;

	vec_for_each (at, &g->kernels)
		if ((*at)->shared == shared) {
			shared_table_unref(shared);
			(*at)->n_guests++;
			return *at;
		}
	kernel = calloc(1, sizeof(*kernel));
	if (!kernel || !vec_push(&g->kernels, kernel)) {
		shared_table_unref(shared);
		free(kernel);
		return NULL;
	}
	kernel->shared = shared;
	kernel->names.table = (struct symtab *)shared_table_get(shared);
	kernel->n_guests = 1;
	return kernel;
}

static void forget_memory(struct guests_symbols *g, struct guest *guest)
{
	kernel_names_unref(g, take_ptr(guest->kernel));
	named_table_deinit(&guest->modules);
	guest->joined = symtab_free(guest->joined);
}

struct guests_symbols *guests_symbols_free(struct guests_symbols *g)
{
	if (!g)
		return NULL;
	vec_for_each(guest, &g->guests)
		if (guest->live)
			guest_live_cancel(guest->live);
	vec_for_each(guest, &g->guests) {
		named_table_deinit(&guest->carried);
		forget_memory(g, guest);
		guest_files_deinit(&guest->files);
		if (g->env->in_background)
			guest_live_leave(guest->live);
		else
			guest_live_free(guest->live);
		files_free(guest->user_files);
	}
	vec_free(&g->guests);
	vec_free(&g->kernels);
	guest_files_deinit(&g->everyone);
	free(g->types_path);
	free(g->root);
	free(g);
	return NULL;
}

int guests_symbols_set(struct guests_symbols *g, uint32_t index, const char *name, const char *uuid)
{
	if (index > g->guests.n)
		return -EINVAL;
	if (index == g->guests.n && !vec_push(&g->guests, (struct guest){}))
		return -ENOMEM;
	g->guests.items[index].name = sym_string(g->env->strings, name ? name : "");
	g->guests.items[index].uuid = sym_string(g->env->strings, uuid ? uuid : "");
	return 0;
}

uint32_t guests_symbols_count(const struct guests_symbols *g)
{
	return (uint32_t)g->guests.n;
}

const char *guests_symbols_name(const struct guests_symbols *g, uint32_t index)
{
	return index < g->guests.n ? g->guests.items[index].name : "";
}

const char *guests_symbols_uuid(const struct guests_symbols *g, uint32_t index)
{
	return index < g->guests.n ? g->guests.items[index].uuid : "";
}

struct files *guests_symbols_user_files(struct guests_symbols *g, uint32_t index)
{
	struct guest *guest = index < g->guests.n ? &g->guests.items[index] : NULL;

	if (guest && !guest->user_files) {
		guest->user_files = files_new_guest(g->env);
		if (guest->user_files && g->root)
			(void)files_set_root(guest->user_files, g->root, NULL); /* it may be gone by now */
	}
	return guest ? guest->user_files : NULL;
}

bool guests_symbols_have_root(struct guests_symbols *g, uint32_t index)
{
	const struct files *files = guests_symbols_user_files(g, index);

	return files && files_have_root(files);
}

/* For those to come: one that cannot be opened is refused now. */
static int remember_root(struct guests_symbols *g, const char *dir, struct vpmu_error *reterr)
{
	_cleanup_(files_freep) struct files *probe = files_new_guest(g->env);
	char *copy = strdup(dir);
	int r = probe && copy ? files_set_root(probe, dir, reterr) : error_oom(reterr);

	free(r == 0 ? g->root : copy);
	if (r == 0)
		g->root = copy;
	return r;
}

/* For every guest, if @index is VPMU_NO_GUEST. */
static int set_root(struct guests_symbols *g, uint32_t index, const char *dir, struct vpmu_error *reterr)
{
	uint32_t from = index == VPMU_NO_GUEST ? 0 : index, to = index == VPMU_NO_GUEST ? (uint32_t)g->guests.n : index + 1;
	int r = index == VPMU_NO_GUEST ? remember_root(g, dir, reterr) : 0;

	for (uint32_t i = from; i < to && r == 0; i++) {
		struct files *files = guests_symbols_user_files(g, i);

		r = files ? files_set_root(files, dir, reterr) : error_oom(reterr);
	}
	return r;
}

/* Any that can be opened: which kernel's it is is seen when that is found. */
static int set_types(struct guests_symbols *g, uint32_t index, const char *path, struct vpmu_error *reterr)
{
	_free_ char *copy = strdup(path);
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = 0;

	if (fd < 0)
		return error_errno(reterr, -errno, "open", path);
	for (uint32_t i = 0; i < g->guests.n && r == 0; i++)
		if ((index == i || index == VPMU_NO_GUEST) && g->guests.items[i].live)
			r = guest_live_types(g->guests.items[i].live, path);
	if (r == -EBUSY)
		return error_set(reterr, r, "the guest's kernel is being read already: its types are given before that");
	if (r < 0 || !copy)
		return error_oom(reterr);
	if (index == VPMU_NO_GUEST) {
		free(g->types_path);
		g->types_path = take_ptr(copy);
	}
	return 0;
}

int guests_symbols_file(struct guests_symbols *g, uint32_t guest, enum vpmu_guest_symbols kind,
			const char *path, int64_t kaslr_offset, struct vpmu_error *reterr)
{
	struct guest_files *files = &g->everyone;

	if (guest != VPMU_NO_GUEST) {
		if (guest >= g->guests.n)
			return guest_files_no_such_guest(guest, reterr);
		files = &g->guests.items[guest].files;
	}
	if (kind == VPMU_GUEST_ROOT)
		return set_root(g, guest, path, reterr);
	if (kind == VPMU_GUEST_TYPES)
		return set_types(g, guest, path, reterr);
	return guest_files_open(files, kind, path, kaslr_offset, reterr);
}

int guests_symbols_table(struct guests_symbols *g, uint32_t guest, const char *image_path,
			 const struct build_id *build_id, struct symtab *table)
{
	struct guest_files *files = &g->everyone;

	if (guest < g->guests.n)
		files = &g->guests.items[guest].files;
	if (image_path)
		return guest_files_add_image(files, image_path, build_id, table);
	if (guest < g->guests.n)
		named_table_set(&g->guests.items[guest].carried, table);
	else
		named_table_set(&files->kallsyms, table);
	return 0;
}

int guests_symbols_runs(struct guests_symbols *g, uint32_t index, const struct vpmu_guest_info *info)
{
	struct guest *guest;

	if (index >= g->guests.n)
		return -EINVAL;
	guest = &g->guests.items[index];
	guest_live_free(guest->live);
	guest->live = guest_live_new(info);
	return guest->live ? guest_live_types(guest->live, g->types_path) : -ENOMEM;
}

/* Files that somebody gave for the guest stand before what its memory says. */
static void look_into_memory(struct guests_symbols *g, struct guest *guest)
{
	struct guest_names names;
	struct kernel_names *kernel;

	guest->looked = true;
	guest->begun = false;
	if (guest_live_read(guest->live, &g->env->guests_until_ns, &names) < 0)
		return;
	if (guest_files_any(&guest->files) || guest_files_any(&g->everyone)) {
		guest_names_deinit(&names);
		return;
	}
	kernel = kernel_names_of(g, take_ptr(names.kernel));
	forget_memory(g, guest);
	guest->kernel = kernel;
	guest->kernel_gva = names.kernel_gva;
	named_table_set(&guest->modules, names.modules);
}

static void begin_look(struct guest *guest)
{
	if (guest->looked || guest->begun)
		return;
	guest_live_begin(guest->live);
	guest->begun = true;
}

struct vpmu_kernel *guests_symbols_kernel(struct guests_symbols *g, uint32_t index)
{
	struct guest *guest = index < g->guests.n ? &g->guests.items[index] : NULL;

	if (!guest || !guest->live)
		return NULL;
	begin_look(guest);
	if (!guest->looked && guest_live_ready(guest->live))
		look_into_memory(g, guest);
	return guest->looked ? guest_live_kernel(guest->live) : NULL;
}

bool guests_symbols_is_not_linux(const struct guests_symbols *g, uint32_t index)
{
	return index < g->guests.n && g->guests.items[index].live && guest_live_is_not_linux(g->guests.items[index].live);
}

bool guests_symbols_is_looked_for(const struct guests_symbols *g, uint32_t index)
{
	return index < g->guests.n && g->guests.items[index].begun;
}

void guests_symbols_look_again(struct guests_symbols *g, uint32_t index)
{
	if (index < g->guests.n)
		g->guests.items[index].looked = false;
}

void guests_symbols_gone(struct guests_symbols *g, uint32_t index)
{
	struct guest *guest = index < g->guests.n ? &g->guests.items[index] : NULL;

	if (!guest)
		return;
	guest->gone = true;
	/* A look that goes on ends by itself, soon: there is nothing to read any more. */
	if (guest->live && guest_live_ready(guest->live)) {
		guest->live = guest_live_free(guest->live);
		guest->begun = false;
	}
}

void guests_symbols_forget_gone(struct guests_symbols *g)
{
	vec_for_each (guest, &g->guests) {
		if (!guest->gone)
			continue;
		guests_symbols_gone(g, (uint32_t)(guest - g->guests.items));
		named_table_deinit(&guest->carried);
		forget_memory(g, guest);
		guest->user_files = files_free(guest->user_files);
	}
}

void guests_symbols_forget_files(struct guests_symbols *g)
{
	vec_for_each (guest, &g->guests)
		if (guest->user_files)
			files_forget(guest->user_files);
}

void guests_symbols_refresh(struct guests_symbols *g)
{
	vec_for_each (guest, &g->guests)
		if (guest->live && guest->looked && !g->env->hurry)
			look_into_memory(g, guest);
}

/* In the tables that came out of the guest's memory. */
static bool find_in_memory(struct guests_symbols *g, struct guest *guest, uint64_t address, struct symbol *ret)
{
	if (guest->kernel && address >= guest->kernel_gva &&
	    named_table_lookup(&guest->kernel->names, g->env->strings, address - guest->kernel_gva, ret)) {
		ret->start += guest->kernel_gva;
		ret->end += guest->kernel_gva;
		return true;
	}
	return named_table_lookup(&guest->modules, g->env->strings, address, ret);
}

/* A guest can make the search for its kernel take a minute or two. */
static bool may_look_now(const struct guests_symbols *g, struct guest *guest)
{
	if (!g->env->in_background)
		return true;
	begin_look(guest);
	return guest_live_ready(guest->live);
}

void guests_symbols_frame(struct guests_symbols *g, uint32_t index, bool lines, struct vpmu_frame *frame)
{
	struct guest *guest = index < g->guests.n ? &g->guests.items[index] : NULL;
	struct guest_files *files = guest && guest_files_any(&guest->files) ? &guest->files : &g->everyone;
	bool is_kernel = frame->side == VPMU_SIDE_GUEST_KERNEL, has_kernel_table = false;
	struct symbol symbol;

	if (lines)
		guest_files_line(files, g->env->strings, frame);
	if (is_kernel && guest && guest->live && !guest->looked && !g->env->hurry && !guest_files_any(files) &&
	    may_look_now(g, guest))
		look_into_memory(g, guest);
	if (is_kernel && guest && (guest->carried.table || guest->kernel)) {
		has_kernel_table = true;
		if (find_in_memory(g, guest, frame->address, &symbol) ||
		    named_table_lookup(&guest->carried, g->env->strings, frame->address, &symbol)) {
			frame->dso = sym_module_dso(g->env->strings, symbol.module);
			sym_frame_found(frame, &symbol, frame->address);
			return;
		}
	}
	if (guest_files_frame(files, g->env->strings, frame) || !is_kernel || frame->status != VPMU_FRAME_UNMAPPED)
		return;
	has_kernel_table |= guest_files_kernel(files);
	frame->dso = sym_module_dso(g->env->strings, "");
	frame->status = has_kernel_table ? VPMU_FRAME_NO_SYMBOL : VPMU_FRAME_NO_SYMBOLS;
}

static int join_tables(struct guest *guest)
{
	return guest->joined ? 0 : guest_tables_join(guest->kernel->names.table, guest->kernel_gva, guest->modules.table,
						     &guest->joined);
}

int guests_symbols_each(struct guests_symbols *g,
			int (*fn)(uint32_t guest, const char *path, const struct build_id *build_id,
				  const struct symtab *table, void *data),
			void *data)
{
	int r = guest_files_each(&g->everyone, VPMU_NO_GUEST, fn, data);

	for (uint32_t i = 0; i < g->guests.n && r == 0; i++) {
		struct guest *guest = &g->guests.items[i];

		if (guest->kernel)
			r = join_tables(guest);
		if (r == 0 && guest->kernel)
			r = fn(i, NULL, &(struct build_id){}, guest->joined, data);
		else if (r == 0 && guest->carried.table)
			r = fn(i, NULL, &(struct build_id){}, guest->carried.table, data);
		if (r == 0)
			r = guest_files_each(&guest->files, i, fn, data);
	}
	return r;
}

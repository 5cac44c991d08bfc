/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which source is asked for which side; and the calls of the layers around (symbolizer.h, vpmu/symbolize.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "format/elf_head.h"
#include "host/vm_slots.h"
#include "sym/symbolizer_private.h"
#include "util/error.h"
#include "util/macro.h"

/* Default places below the user's home; NULL without one. */
static char *home_path(const char *variable, const char *below)
{
	const char *base = variable ? secure_getenv(variable) : NULL, *home = secure_getenv("HOME");
	char *path = NULL;

	if (base && base[0] == '/')
		return asprintf(&path, "%s/vpmu", base) < 0 ? NULL : path;
	if (!home || home[0] != '/')
		return NULL;
	return asprintf(&path, "%s/%s", home, below) < 0 ? NULL : path;
}

static int init_env(struct sym_env *env, const struct vpmu_symbolizer_opts *opts)
{
	const char *urls = secure_getenv("DEBUGINFOD_URLS");

	env->strings = intern_new();
	env->kallsyms_path = strdup(opts->kallsyms_path ? opts->kallsyms_path : "/proc/kallsyms");
	env->debug_dirs = strdup(opts->debug_dirs ? opts->debug_dirs : "/usr/lib/debug");
	if (!env->strings || !env->kallsyms_path || !env->debug_dirs)
		return -ENOMEM;
	/* These four are used if they can be had. */
	env->perf_cache = home_path(NULL, ".debug");
	if (!opts->cache_dir)
		env->cache_dir = home_path("XDG_CACHE_HOME", ".cache/vpmu");
	else if (opts->cache_dir[0])
		env->cache_dir = strdup(opts->cache_dir);
	env->in_background = opts->in_background;
	env->use_debuginfod = !opts->no_debuginfod && urls && urls[0];
	return 0;
}

int symbolizer_new(const struct vpmu_symbolizer_opts *opts, struct vpmu_symbolizer **ret_symbolizer,
		   struct vpmu_error *reterr)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = calloc(1, sizeof(*s));
	struct vpmu_symbolizer_opts known;

	/* A size of zero: embedded in another option struct, and left alone. */
	if (opts && opts->sz == 0)
		opts = NULL;
	if (!opts_valid(opts, sizeof(known)))
		return error_set(reterr, -EINVAL, "symbolizer options of a newer library");
	opts_take(&known, opts);
	if (!s)
		return error_oom(reterr);
	vm_slots_keep(); /* each guest whose kernel is looked for has its slots read */
	if (init_env(&s->env, &known) < 0)
		return error_oom(reterr);
	s->kernel = kernel_new(&s->env);
	s->files = files_new(&s->env);
	s->spaces = spaces_new();
	s->guest_spaces = spaces_new();
	s->guests = guests_symbols_new(&s->env);
	s->unknown = sym_string(s->env.strings, "[unknown]");
	if (!s->kernel || !s->files || !s->spaces || !s->guest_spaces || !s->guests)
		return error_oom(reterr);
	*ret_symbolizer = take_ptr(s);
	return 0;
}

struct vpmu_symbolizer *symbolizer_free(struct vpmu_symbolizer *s)
{
	if (!s)
		return NULL;
	kernel_free(s->kernel);
	files_free(s->files);
	spaces_free(s->spaces);
	spaces_free(s->guest_spaces);
	vec_free(&s->owners);
	guests_symbols_free(s->guests);
	vm_slots_leave();
	intern_free(s->env.strings);
	free(s->env.kallsyms_path);
	free(s->env.cache_dir);
	free(s->env.debug_dirs);
	free(s->env.perf_cache);
	free(s);
	return NULL;
}

VPMU_API void vpmu_symbolizer_hurry(struct vpmu_symbolizer *symbolizer)
{
	symbolizer->env.hurry = true;
	symbolizer->env.guests_until_ns = 1; /* which is over */
}

VPMU_API void vpmu_symbolizer_await_guests_until(struct vpmu_symbolizer *symbolizer, uint64_t time_ns)
{
	symbolizer->env.guests_until_ns = time_ns;
}

int symbolizer_set_guest(struct vpmu_symbolizer *s, uint32_t index, const struct vpmu_guest_info *info)
{
	return guests_symbols_set(s->guests, index, info->name, info->uuid);
}

int symbolizer_guest_runs(struct vpmu_symbolizer *s, uint32_t index, const struct vpmu_guest_info *info)
{
	return guests_symbols_runs(s->guests, index, info);
}

void symbolizer_refresh_guests(struct vpmu_symbolizer *s)
{
	guests_symbols_refresh(s->guests);
}

const char *symbolizer_guest_name(const struct vpmu_symbolizer *s, uint32_t index)
{
	return guests_symbols_name(s->guests, index);
}

const char *symbolizer_guest_uuid(const struct vpmu_symbolizer *s, uint32_t index)
{
	return guests_symbols_uuid(s->guests, index);
}

uint32_t symbolizer_n_guests(const struct vpmu_symbolizer *s)
{
	return guests_symbols_count(s->guests);
}

void symbolizer_set_host_kernel(struct vpmu_symbolizer *s, const uint8_t *build_id, size_t n,
				const char *ref_symbol, uint64_t ref_address)
{
	struct build_id id = {};

	build_id_set(&id, build_id, n);
	kernel_set_reference(s->kernel, &id, ref_symbol, ref_address);
}

void symbolizer_set_boot(struct vpmu_symbolizer *s, const char *boot_id)
{
	kernel_set_boot(s->kernel, boot_id);
}

void symbolizer_set_other_kernel(struct vpmu_symbolizer *s)
{
	kernel_set_other(s->kernel);
}

int symbolizer_set_build_id(struct vpmu_symbolizer *s, const char *path, const uint8_t *build_id, size_t n)
{
	struct build_id id = {};

	build_id_set(&id, build_id, n);
	return files_set_build_id(s->files, path, &id);
}

int symbolizer_add_ksymbol(struct vpmu_symbolizer *s, uint64_t address, uint32_t length_bytes,
			   const char *name)
{
	return kernel_add_code(s->kernel, address, length_bytes, name);
}

uint32_t symbolizer_space_new(struct vpmu_symbolizer *s)
{
	return spaces_add(s->spaces);
}

uint32_t symbolizer_space_map(struct vpmu_symbolizer *s, uint32_t space, const struct perf_mmap_record *map)
{
	struct mapping mapping = { .start = map->start, .offset_bytes = map->pgoff_bytes };
	struct build_id id = {};

	if (!(map->prot & PROT_EXEC))
		return space;
	if (__builtin_add_overflow(map->start, map->length_bytes, &mapping.end))
		mapping.end = UINT64_MAX;
	build_id_set(&id, map->build_id, map->build_id_bytes);
	mapping.file = files_add(s->files, map->path, &id);
	if (mapping.file == FILES_FAILED)
		return UINT32_MAX;
	return spaces_map(s->spaces, space, &mapping);
}

static uint32_t owner_of(const struct vpmu_symbolizer *s, uint32_t space)
{
	return space < s->owners.n ? s->owners.items[space] : 0;
}

static bool set_owner(struct vpmu_symbolizer *s, uint32_t space, uint32_t owner)
{
	while (s->owners.n <= space)
		if (!vec_push(&s->owners, 0))
			return false;
	s->owners.items[space] = owner;
	return true;
}

uint32_t symbolizer_guest_space(struct vpmu_symbolizer *s, uint32_t guest)
{
	uint32_t space = spaces_add(s->guest_spaces);

	return space == SPACES_FAILED || !set_owner(s, space, guest + 1) ? UINT32_MAX : space;
}

uint32_t symbolizer_guest_map(struct vpmu_symbolizer *s, uint32_t space, const struct perf_mmap_record *map,
			      const void *head)
{
	uint32_t owner = owner_of(s, space);
	struct files *files = owner ? guests_symbols_user_files(s->guests, owner - 1) : NULL;
	struct mapping mapping = { .start = map->start, .end = map->start + map->length_bytes,
				   .offset_bytes = map->pgoff_bytes };
	struct build_id id = {};

	if (!files)
		return UINT32_MAX;
	build_id_set(&id, map->build_id, map->build_id_bytes);
	mapping.file = files_add(files, map->path, &id);
	if (mapping.file == FILES_FAILED)
		return UINT32_MAX;
	if (head)
		files_set_head(files, mapping.file, head, ELF_HEAD_BYTES);
	space = spaces_map(s->guest_spaces, space, &mapping);
	return space == SPACES_FAILED || !set_owner(s, space, owner) ? UINT32_MAX : space;
}

static struct files *mapped_file(const struct vpmu_symbolizer *s, uint32_t space, uint64_t address, uint32_t *ret_file)
{
	uint32_t owner = owner_of(s, space);
	struct mapping mapping;

	if (!owner || !spaces_find(s->guest_spaces, space, address, &mapping))
		return NULL;
	*ret_file = mapping.file;
	return guests_symbols_user_files(s->guests, owner - 1);
}

bool symbolizer_guest_needs_resident(const struct vpmu_symbolizer *s, uint32_t space, uint64_t address)
{
	uint32_t file;
	struct files *files = mapped_file(s, space, address, &file);

	return files && files_needs_resident(files, file);
}

void symbolizer_guest_resident(struct vpmu_symbolizer *s, uint32_t space, uint64_t address, struct symtab *table)
{
	uint32_t file;
	struct files *files = mapped_file(s, space, address, &file);

	if (files)
		files_set_resident(files, file, table);
	else
		symtab_free(table);
}

bool symbolizer_is_mapped(const struct vpmu_symbolizer *s, uint32_t space, uint64_t address)
{
	struct mapping mapping;

	return spaces_find(s->guest_spaces, space, address, &mapping);
}

enum symbolizer_code symbolizer_guest_code(struct vpmu_symbolizer *s, uint32_t space, uint64_t address,
					   const struct cfi_row **ret_row)
{
	uint32_t owner = owner_of(s, space);
	const struct cfi_table *table;
	struct mapping mapping;

	*ret_row = NULL;
	if (!owner || !spaces_find(s->guest_spaces, space, address, &mapping))
		return SYMBOLIZER_CODE_NONE;
	table = files_cfi(guests_symbols_user_files(s->guests, owner - 1), mapping.file);
	if (!table)
		return SYMBOLIZER_CODE_MAPPED;
	*ret_row = cfi_table_find(table, address - mapping.start + mapping.offset_bytes);
	return SYMBOLIZER_CODE_HAS_CFI;
}

bool symbolizer_guest_needs_image(const struct vpmu_symbolizer *s, uint32_t space, uint64_t address)
{
	uint32_t file;
	struct files *files = mapped_file(s, space, address, &file);

	return files && files_needs_image(files, file);
}

void symbolizer_guest_image(struct vpmu_symbolizer *s, uint32_t space, uint64_t address, void *bytes, size_t n)
{
	uint32_t file;
	struct files *files = mapped_file(s, space, address, &file);

	if (files)
		files_set_image(files, file, bytes, n);
}

bool symbolizer_guest_has_files(struct vpmu_symbolizer *s, uint32_t guest)
{
	return guests_symbols_have_root(s->guests, guest);
}

void symbolizer_guest_gone(struct vpmu_symbolizer *s, uint32_t guest)
{
	guests_symbols_gone(s->guests, guest);
}

void symbolizer_forget_gone(struct vpmu_symbolizer *s)
{
	guests_symbols_forget_gone(s->guests);
}

bool symbolizer_forget_spaces(struct vpmu_symbolizer *s)
{
	struct spaces *fresh = spaces_new();

	if (!fresh)
		return false;
	spaces_free(s->guest_spaces);
	s->guest_spaces = fresh;
	s->owners.n = 0;
	guests_symbols_forget_files(s->guests);
	return true;
}

struct vpmu_kernel *symbolizer_guest_kernel(struct vpmu_symbolizer *s, uint32_t guest)
{
	return guests_symbols_kernel(s->guests, guest);
}

bool symbolizer_guest_is_not_linux(const struct vpmu_symbolizer *s, uint32_t guest)
{
	return guests_symbols_is_not_linux(s->guests, guest);
}

bool symbolizer_guest_is_looked_for(const struct vpmu_symbolizer *s, uint32_t guest)
{
	return guests_symbols_is_looked_for(s->guests, guest);
}

void symbolizer_guest_look_again(struct vpmu_symbolizer *s, uint32_t guest)
{
	guests_symbols_look_again(s->guests, guest);
}

static void user_frame(struct vpmu_symbolizer *s, uint32_t space, bool lines, struct vpmu_frame *frame)
{
	struct mapping mapping;

	if (!spaces_find(s->spaces, space, frame->address, &mapping))
		return;
	frame->dso_offset = frame->address - mapping.start + mapping.offset_bytes;
	files_frame(s->files, mapping.file, lines, frame);
}

/* false: no process of the guest's is known to have code there. */
static bool guest_user_frame(struct vpmu_symbolizer *s, uint32_t space, bool lines, struct vpmu_frame *frame)
{
	uint32_t owner = owner_of(s, space);
	struct mapping mapping;

	if (!owner || !spaces_find(s->guest_spaces, space, frame->address, &mapping))
		return false;
	frame->dso_offset = frame->address - mapping.start + mapping.offset_bytes;
	files_frame(guests_symbols_user_files(s->guests, owner - 1), mapping.file, lines, frame);
	return true;
}

void symbolizer_frame(struct vpmu_symbolizer *s, enum vpmu_side side, uint32_t guest, uint32_t space,
		      uint64_t address, bool lines, struct vpmu_frame *ret_frame)
{
	*ret_frame = (struct vpmu_frame){
		.dso = s->unknown,
		.build_id = intern_string(s->env.strings, 0),
		.address = address,
		.dso_offset = address,
		.side = side,
		.status = VPMU_FRAME_UNMAPPED,
	};
	if (side == VPMU_SIDE_GUEST_USER && owner_of(s, space))
		guest = owner_of(s, space) - 1;
	switch (side) {
	case VPMU_SIDE_HOST_KERNEL:
		kernel_frame(s->kernel, ret_frame);
		break;
	case VPMU_SIDE_HOST_USER:
		user_frame(s, space, lines, ret_frame);
		break;
	case VPMU_SIDE_GUEST_USER:
		if (address && address != VPMU_ADDRESS_NESTED && guest_user_frame(s, space, lines, ret_frame) && ret_frame->status == VPMU_FRAME_OK)
			break;
		/* What is mapped keeps its file and offset where no image tells more. */
		__attribute__((fallthrough));
	case VPMU_SIDE_GUEST_KERNEL:
		if (address == VPMU_ADDRESS_NESTED)
			ret_frame->status = VPMU_FRAME_NESTED;
		else if (address)
			guests_symbols_frame(s->guests, guest, lines, ret_frame);
		else
			ret_frame->status = VPMU_FRAME_OPAQUE;
		break;
	case VPMU_SIDE_HYPERVISOR:
	case VPMU_SIDE_UNKNOWN:
		break;
	}
}

enum vpmu_side symbolizer_side_of_marker(uint64_t marker)
{
	switch (marker) {
	case VPMU_CONTEXT_HV:
		return VPMU_SIDE_HYPERVISOR;
	case VPMU_CONTEXT_KERNEL:
		return VPMU_SIDE_HOST_KERNEL;
	case VPMU_CONTEXT_USER:
	case VPMU_CONTEXT_USER_DEFERRED:
		return VPMU_SIDE_HOST_USER;
	case VPMU_CONTEXT_GUEST:
	case VPMU_CONTEXT_GUEST_KERNEL:
		return VPMU_SIDE_GUEST_KERNEL;
	case VPMU_CONTEXT_GUEST_USER:
		return VPMU_SIDE_GUEST_USER;
	default:
		return VPMU_SIDE_UNKNOWN;
	}
}

/* Stands for all that is behind a marker that nobody knows. */
static struct vpmu_frame truncated_frame(const struct vpmu_symbolizer *s, enum vpmu_side side)
{
	return (struct vpmu_frame){
		.dso = s->unknown,
		.build_id = intern_string(s->env.strings, 0),
		.side = side,
		.status = VPMU_FRAME_TRUNCATED,
	};
}

VPMU_API size_t vpmu_symbolize(struct vpmu_symbolizer *s, const struct vpmu_sample *sample, bool lines,
			       struct vpmu_frame *frames, size_t n_frames)
{
	enum vpmu_side side = sample->side;
	bool is_leaf = true;
	size_t n = 0;

	if (n_frames == 0)
		return 0;
	symbolizer_frame(s, side, sample->guest, sample->space, sample->ip, lines, &frames[n++]);
	for (uint32_t i = 0; i < sample->n_chain && n < n_frames; i++) {
		uint64_t address = sample->chain[i];

		if (address - VPMU_CONTEXT_CUT < VPMU_CHAIN_END_COUNT) {
			frames[n++] = (struct vpmu_frame){
				.symbol = NULL,
				.dso = "[unknown]",
				.build_id = "",
				.side = side,
				.status = VPMU_FRAME_TRUNCATED,
			};
			break;
		}
		if (address >= VPMU_CONTEXT_MAX) {
			side = symbolizer_side_of_marker(address);
			if (address == VPMU_CONTEXT_USER_DEFERRED)
				i++; /* a cookie: which later record holds the user's part */
			if (side != VPMU_SIDE_UNKNOWN)
				continue;
			frames[n++] = truncated_frame(s, sample->side);
			break;
		}
		/* The kernel writes the sampled instruction as the first address of the chain. */
		if (is_leaf && address == sample->ip) {
			is_leaf = false;
			continue;
		}
		is_leaf = false;
		symbolizer_frame(s, side, sample->guest, sample->space, address, lines, &frames[n++]);
	}
	return n;
}

VPMU_API int vpmu_symbolizer_guest_file(struct vpmu_symbolizer *s, uint32_t guest,
					enum vpmu_guest_symbols kind, const char *path,
					int64_t kaslr_offset, struct vpmu_error *reterr)
{
	return guests_symbols_file(s->guests, guest, kind, path, kaslr_offset, reterr);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables that travel in a recording (format/vpmu_section.h), out and in. A table read from a recording stands before
 * everything that this machine could say: it is what was true where and when the recording was made.
 */
#include <errno.h>
#include <string.h>

#include "format/elf_head.h"
#include "format/perf_data.h"
#include "format/vpmu_section.h"
#include "sym/symbolizer_private.h"
#include "util/log.h"
#include "util/macro.h"
#include "util/vec.h"

/* Leaves room for the entries' heads below what a reader takes (PERF_DATA_FEATURE_MAX). */
#define MAX_IMAGES_BYTES (PERF_DATA_FEATURE_MAX - (1u << 20))

struct collected {
	VEC(struct vpmu_section_table) tables;
	uint64_t bytes;
};

static int collect(struct collected *c, enum vpmu_table_kind kind, uint32_t guest, const char *path,
		   const struct build_id *build_id, const struct symtab *table)
{
	struct vpmu_section_table entry = {
		.kind = kind,
		.guest = guest,
		.path = path ? path : "",
		.build_id_bytes = build_id->n,
	};

	if (!table)
		return 0;
	memcpy(entry.build_id, build_id->bytes, build_id->n);
	entry.image = symtab_image(table, &entry.image_bytes);
	if (c->bytes + entry.image_bytes + strlen(entry.path) > MAX_IMAGES_BYTES) {
		log_warn("the symbols of '%s' are too many to travel in the recording; ignoring them there", entry.path);
		return 0;
	}
	c->bytes += entry.image_bytes + strlen(entry.path);
	return vec_push(&c->tables, entry) ? 0 : -ENOMEM;
}

static int collect_file(const char *path, const struct build_id *build_id, const struct symtab *table, bool resident,
			void *data)
{
	(void)resident;
	return collect(data, VPMU_TABLE_FILE, VPMU_NO_GUEST, path, build_id, table);
}

static int collect_guest(uint32_t guest, const char *path, const struct build_id *build_id,
			 const struct symtab *table, void *data)
{
	return collect(data, path ? VPMU_TABLE_GUEST_IMAGE : VPMU_TABLE_GUEST_KERNEL, guest, path, build_id,
		       table);
}

struct collected_guest {
	struct collected *collected;
	uint32_t guest;
};

static int collect_user_file(const char *path, const struct build_id *build_id, const struct symtab *table,
			     bool resident, void *data)
{
	const struct collected_guest *of = data;

	return collect(of->collected, resident ? VPMU_TABLE_GUEST_RESIDENT : VPMU_TABLE_GUEST_FILE, of->guest, path, build_id, table);
}

static int collect_head(const char *path, const struct build_id *build_id, const void *head, size_t n, void *data)
{
	const struct collected_guest *of = data;
	struct vpmu_section_table entry = {
		.kind = VPMU_TABLE_GUEST_HEAD,
		.guest = of->guest,
		.path = path,
		.build_id_bytes = build_id->n,
		.image = head,
		.image_bytes = n,
	};

	memcpy(entry.build_id, build_id->bytes, build_id->n);
	if (of->collected->bytes + n + strlen(path) > MAX_IMAGES_BYTES)
		return 0;
	of->collected->bytes += n + strlen(path);
	return vec_push(&of->collected->tables, entry) ? 0 : -ENOMEM;
}

static int collect_user_files(struct vpmu_symbolizer *s, struct collected *c)
{
	int r = 0;

	for (uint32_t i = 0; i < guests_symbols_count(s->guests) && r == 0; i++) {
		struct files *files = guests_symbols_user_files(s->guests, i);

		r = files ? files_each(files, collect_user_file, &(struct collected_guest){ c, i }) : -ENOMEM;
		if (r == 0)
			r = files_each_head(files, collect_head, &(struct collected_guest){ c, i });
	}
	return r;
}

int symbolizer_save_tables(struct vpmu_symbolizer *s, const uint64_t *kernel_pages, size_t n_kernel_pages,
			   struct strbuf *out)
{
	_cleanup_(symtab_freep) struct symtab *part = NULL;
	struct build_id kernel_id;
	const struct symtab *kernel = kernel_table(s->kernel, &kernel_id);
	struct collected c = {};
	int r = 0;

	if (kernel && kernel_pages) {
		r = symtab_subset(kernel, kernel_pages, n_kernel_pages, &part);
		kernel = part;
	}
	if (r == 0)
		r = collect(&c, VPMU_TABLE_HOST_KERNEL, VPMU_NO_GUEST, NULL, &kernel_id, kernel);
	if (r == 0)
		r = guests_symbols_each(s->guests, collect_guest, &c);
	if (r == 0)
		r = files_each(s->files, collect_file, &c);
	if (r == 0)
		r = collect_user_files(s, &c);
	if (r == 0)
		r = vpmu_section_tables_encode(c.tables.items, c.tables.n, out);
	vec_free(&c.tables);
	return r;
}

/* Symbols may be found elsewhere, in a debug file that does not tell what of the program lies where. */
static int add_head(struct vpmu_symbolizer *s, const struct vpmu_section_table *table, const struct build_id *build_id)
{
	struct files *files = guests_symbols_user_files(s->guests, table->guest);
	uint32_t file = files ? files_add(files, table->path, build_id) : FILES_FAILED;

	if (file == FILES_FAILED)
		return table->guest == VPMU_NO_GUEST ? 0 : -ENOMEM;
	files_set_head(files, file, table->image, MIN(table->image_bytes, (size_t)ELF_HEAD_BYTES));
	return 0;
}

int symbolizer_add_table(struct vpmu_symbolizer *s, const struct vpmu_section_table *table)
{
	bool of_guest = table->kind == VPMU_TABLE_GUEST_KERNEL || table->kind == VPMU_TABLE_GUEST_IMAGE ||
			table->kind == VPMU_TABLE_GUEST_FILE || table->kind == VPMU_TABLE_GUEST_RESIDENT ||
			table->kind == VPMU_TABLE_GUEST_HEAD;
	struct files *files;
	uint32_t file;
	struct build_id build_id = {};
	struct symtab *copy;
	int r;

	if (of_guest && table->guest != VPMU_NO_GUEST && table->guest >= guests_symbols_count(s->guests)) {
		log_debug("ignoring a symbol table for guest number %u, which is not in the recording",
			  table->guest);
		return 0;
	}
	build_id_set(&build_id, table->build_id, table->build_id_bytes);
	if (table->kind == VPMU_TABLE_GUEST_HEAD)
		return add_head(s, table, &build_id);
	r = symtab_open(table->image, table->image_bytes, false, &copy);
	if (r < 0)
		return r;
	switch ((enum vpmu_table_kind)table->kind) {
	case VPMU_TABLE_HOST_KERNEL:
		kernel_set_table(s->kernel, copy);
		return 0;
	case VPMU_TABLE_GUEST_KERNEL:
		return guests_symbols_table(s->guests, table->guest, NULL, &build_id, copy);
	case VPMU_TABLE_GUEST_IMAGE:
		return guests_symbols_table(s->guests, table->guest, table->path, &build_id, copy);
	case VPMU_TABLE_FILE:
		return files_set_table(s->files, table->path, &build_id, copy);
	case VPMU_TABLE_GUEST_FILE:
		files = guests_symbols_user_files(s->guests, table->guest);
		if (files)
			return files_set_table(files, table->path, &build_id, copy);
		symtab_free(copy);
		return table->guest == VPMU_NO_GUEST ? 0 : -ENOMEM;
	case VPMU_TABLE_GUEST_HEAD:
		break; /* above */
	case VPMU_TABLE_GUEST_RESIDENT:
		files = guests_symbols_user_files(s->guests, table->guest);
		file = files ? files_add(files, table->path, &build_id) : FILES_FAILED;
		if (file != FILES_FAILED) {
			files_set_resident(files, file, copy);
			return 0;
		}
		symtab_free(copy);
		return table->guest == VPMU_NO_GUEST ? 0 : -ENOMEM;
	}
	log_debug("ignoring a symbol table of kind %u, made by a newer version", table->kind);
	symtab_free(copy);
	return 0;
}

struct each_file {
	void (*fn)(const char *path, const uint8_t *build_id, size_t n, void *data);
	void *data;
};

static int tell_file(const char *path, const struct build_id *build_id, const struct symtab *table, bool resident,
		     void *data)
{
	const struct each_file *each = data;

	(void)table;
	(void)resident;
	if (build_id->n)
		each->fn(path, build_id->bytes, build_id->n, each->data);
	return 0;
}

void symbolizer_each_file(struct vpmu_symbolizer *s,
			  void (*fn)(const char *path, const uint8_t *build_id, size_t n, void *data), void *data)
{
	files_each(s->files, tell_file, &(struct each_file){ fn, data });
}

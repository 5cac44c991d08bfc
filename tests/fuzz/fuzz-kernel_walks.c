/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything that is read out of a guest's kernel, from finding it to the name of a mapped file, on memory that is all made up
 * (sparse_image.h): lists and page tables that lead to themselves, names without end, counts of billions. In a second round lines are not
 * the same when they are read again, as the guest goes on running.
 *
 * After so many reads there are no more, as if the guest's process had ended: whatever is done must end soon then. That it ends without is
 * the part of lib/guest/kernel_read.c.
 */
#include <errno.h>
#include <stdbool.h>

#include "fuzz.h"
#include "guest/code_areas.h"
#include "guest/current.h"
#include "guest/kernel_orc.h"
#include "guest/kernel_types.h"
#include "sparse_image.h"
#include "util/hash.h"
#include "util/macro.h"

#define LINES_READ_MAX (1u << 16)
#define READS_AFTER    1000 /* that the process is gone */
#define TABLE_SLOTS    (1u << 13)
#define LINES_MAX      (TABLE_SLOTS / 2)
#define RAM_BYTES_MAX  (4ull << 30)

struct image {
	struct sparse_head head;
	const struct sparse_line *lines;
	size_t n_lines;
	uint16_t slots[TABLE_SLOTS]; /* number of the line + 1 */
	uint64_t lines_read, reads_after;
	bool flickers;
};

static struct image image;

static size_t slot_of(uint64_t gpa)
{
	return gpa / SPARSE_LINE_BYTES * 0x9e3779b97f4a7c15 >> 32 & (TABLE_SLOTS - 1);
}

static void image_init(const uint8_t *bytes, size_t n)
{
	memset(&image, 0, sizeof(image));
	memcpy(&image.head, bytes, sizeof(image.head));
	image.head.ram_bytes = image.head.ram_bytes % RAM_BYTES_MAX & ~(PAGE_BYTES - 1ull);
	image.lines = (const void *)(bytes + sizeof(image.head));
	image.n_lines = MIN((n - sizeof(image.head)) / sizeof(struct sparse_line), (size_t)LINES_MAX);
	for (size_t i = 0; i < image.n_lines; i++) {
		size_t slot = slot_of(image.lines[i].gpa & ~63ull);

		while (image.slots[slot])
			slot = (slot + 1) % TABLE_SLOTS;
		image.slots[slot] = (uint16_t)(i + 1);
	}
}

/* One line, which may have changed meanwhile: a bit is another one, a word points to itself, all of it is another line. */
static void read_line(struct image *m, uint64_t gpa, uint8_t line[SPARSE_LINE_BYTES])
{
	static const uint64_t key[2] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9};
	uint64_t dice = m->flickers ? hash_mix_with(key, gpa ^ m->head.seed, m->lines_read) : 3;
	size_t slot = slot_of(gpa);

	memset(line, 0, SPARSE_LINE_BYTES);
	for (; m->slots[slot]; slot = (slot + 1) % TABLE_SLOTS)
		if ((m->lines[m->slots[slot] - 1].gpa & ~63ull) == gpa) {
			memcpy(line, m->lines[m->slots[slot] - 1].bytes, SPARSE_LINE_BYTES);
			break;
		}
	if (dice % 1024 == 0)
		line[dice >> 10 & 63] ^= (uint8_t)(1u << (dice >> 16 & 7));
	else if (dice % 1024 == 1)
		memcpy(line + (dice >> 10 & 56), line + (dice >> 16 & 56), 8);
	else if (dice % 1024 == 2 && m->n_lines)
		memcpy(line, m->lines[(dice >> 10) % m->n_lines].bytes, SPARSE_LINE_BYTES);
}

/* ---- guest/memory.h's other process ---- */

static int read_bytes(void *data, uint64_t gpa, void *opaque, size_t n)
{
	uint8_t line[SPARSE_LINE_BYTES], *bytes = opaque;
	struct image *m = data;

	m->lines_read += 1 + n / SPARSE_LINE_BYTES;
	if (m->lines_read >= LINES_READ_MAX) {
		HOLDS(m->reads_after++ < READS_AFTER);
		return -ESRCH;
	}
	while (n) {
		size_t within = gpa % SPARSE_LINE_BYTES, piece = MIN(n, SPARSE_LINE_BYTES - within);

		read_line(m, gpa - within, line);
		memcpy(bytes, line + within, piece);
		bytes += piece;
		gpa += piece;
		n -= piece;
	}
	return 0;
}

/* Pages that are all zero are not resident. */
static int read_words(void *data, uint64_t gpa, size_t n_pages, unsigned int offset, struct memory_words *words)
{
	struct image *m = data;

	words->n = 0;
	for (size_t i = 0; i < m->n_lines && words->n < MEMORY_WORDS_PAGES; i++) {
		uint64_t page = m->lines[i].gpa & ~(PAGE_BYTES - 1ull);

		if (page - gpa >= (uint64_t)n_pages * PAGE_BYTES || ((page + offset) & ~63ull) != (m->lines[i].gpa & ~63ull))
			continue;
		words->items[words->n].page_gpa = page;
		if (read_bytes(m, page + offset, &words->items[words->n].word, 8) == 0)
			words->n++;
	}
	return 0;
}

/* ---- what is read ---- */

static int see_symbol(const struct vpmu_kernel_symbol *symbol, void *data)
{
	(void)data;
	touch_string(symbol->name);
	HOLDS(strlen(symbol->name) < 1024);
	if (symbol->module)
		touch_string(symbol->module);
	return 0;
}

static int see_module(const struct vpmu_kernel_module *module, void *data)
{
	(void)data;
	touch_string(module->name);
	touch_string(module->users);
	touch_string(module->taints);
	HOLDS(strlen(module->state) && strlen(module->users) < 128 << 10);
	return 0;
}

static int see_task(const struct vpmu_kernel_task *task, void *data)
{
	(void)data;
	touch_string(task->comm);
	HOLDS(strlen(task->comm) < 16);
	return 0;
}

static int see_mapping(const struct vpmu_kernel_mapping *mapping, void *data)
{
	uint64_t *end = data;

	touch_string(mapping->name);
	HOLDS(mapping->start_gva >= *end && mapping->start_gva < mapping->end_gva);
	HOLDS(strlen(mapping->name) <= 4608);
	*end = mapping->end_gva;
	return 0;
}

static int see_own_symbol(const struct elf_dynamic_symbol *symbol, void *data)
{
	(void)data;
	touch_string(symbol->name);
	return 0;
}

static int see_area(const struct code_area *area, void *data)
{
	size_t n;

	(void)data;
	(void)code_area_symbols(area, see_own_symbol, NULL, &n);
	HOLDS(n < 8 << 20);
	touch_string(area->path);
	if (area->head)
		touch(area->head, PAGE_BYTES);
	return 0;
}

static void see_unwind_tables(struct vpmu_kernel *kernel)
{
	const struct orc_kernel *view;
	struct kernel_orc *orc;

	if (kernel_orc_load(kernel, &orc, NULL) < 0)
		return;
	view = kernel_orc_view(orc);
	HOLDS(view->layout >= ORC_LAYOUT_4_14 && view->layout <= ORC_LAYOUT_7_1);
	(void)view->find(kernel->image.text_gva, view->data);
	(void)view->find(UINT64_MAX, view->data);
	(void)kernel_orc_look_again(orc, kernel, NULL);
	kernel_orc_free(orc);
}

static void walk_all(struct vpmu_kernel *kernel)
{
	struct vpmu_bpf_guest guest;
	uint64_t end = 0;

	touch_string(kernel->release);
	touch_string(kernel->banner);
	touch_string(kernel->build_id);
	(void)vpmu_kernel_each_symbol(kernel, see_symbol, NULL, NULL);
	(void)vpmu_kernel_each_module(kernel, see_module, NULL, NULL);
	(void)vpmu_kernel_each_task(kernel, see_task, NULL, NULL);
	(void)vpmu_kernel_each_mapping(kernel, image.head.pid, see_mapping, &end, NULL);
	see_unwind_tables(kernel);
	if (current_describe(kernel, &guest, NULL) == 0)
		(void)code_areas_each(kernel, image.head.task_gva, image.head.pid, image.head.mm_gva, see_area, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct memory_remote remote = {read_bytes, read_words, &image};
	struct vpmu_kernel *kernel = calloc(1, sizeof(*kernel));
	struct memory_segment all = {};
	uint8_t *copy;

	HOLDS(kernel);
	if (size < sizeof(struct sparse_head)) {
		free(kernel);
		return 0;
	}
	copy = exact_copy(data, size);
	image_init(copy, size);
	all.n_bytes = image.head.ram_bytes;
	if (memory_of_remote(&remote, &all, 1, &kernel->memory) == 0 &&
	    linux_image_find(kernel->memory, kernel_accept, kernel) == 0) {
		walk_all(kernel);
		/* Once more, while all of it changes. */
		image.lines_read = image.reads_after = 0;
		image.flickers = true;
		walk_all(kernel);
	}
	vpmu_kernel_free(kernel);
	free(copy);
	return 0;
}

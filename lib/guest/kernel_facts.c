/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "guest/kernel_facts.h"
#include "util/macro.h"

#define SYMBOLS_MAX (1u << 24)

static void watch_word(struct kernel_watch *watch, struct memory *memory, uint64_t gpa, uint64_t mask)
{
	uint64_t value;

	if (memory_read(memory, gpa, &value, sizeof(value)) < 0)
		return;
	watch->words[watch->n].gpa = gpa;
	watch->words[watch->n].mask = mask;
	watch->words[watch->n++].value = value & mask;
}

static void watch_kernel(const struct vpmu_kernel *k, struct kernel_watch *watch)
{
	const struct linux_image *image = &k->image;
	uint64_t first = (image->text_gva - KERNEL_WINDOW) / LARGE_PAGE_BYTES, banner = k->gva[KERNEL_LINUX_BANNER];

	watch->n = 0;
	watch_word(watch, k->memory, image->above_gpa + 510 * 8, PTE_ADDRESS);
	watch_word(watch, k->memory, image->table_gpa + first * 8, PTE_ADDRESS);
	if (banner % 8 || banner - image->text_gva >= image->n_bytes)
		return;
	while (watch->n < KERNEL_WATCH_WORDS) {
		watch_word(watch, k->memory, image->text_gpa + (banner - image->text_gva), UINT64_MAX);
		banner += 8;
	}
}

void kernel_facts_take(struct vpmu_kernel *k, uint32_t place, struct kernel_facts *ret)
{
	*ret = (struct kernel_facts){
		.place = place,
		.has_types = k->types != NULL,
		.image = k->image,
		.paging = k->paging,
		.n_named = k->n_named,
	};
	memcpy(ret->gva, k->gva, sizeof(ret->gva));
	memcpy(ret->release, k->release, sizeof(ret->release));
	memcpy(ret->banner, k->banner, sizeof(ret->banner));
	memcpy(ret->build_id, k->build_id, sizeof(ret->build_id));
	if (k->types)
		ret->types = *k->types;
	watch_kernel(k, &ret->watch);
}

int kernel_facts_give(const struct kernel_facts *facts, struct vpmu_kernel *k)
{
	if (facts->has_types) {
		k->types = malloc(sizeof(*k->types));
		if (!k->types)
			return -ENOMEM;
		*k->types = facts->types;
	}
	k->image = facts->image;
	k->paging = facts->paging;
	k->n_named = (uint32_t)facts->n_named;
	memcpy(k->gva, facts->gva, sizeof(k->gva));
	memcpy(k->release, facts->release, sizeof(k->release));
	memcpy(k->banner, facts->banner, sizeof(k->banner));
	memcpy(k->build_id, facts->build_id, sizeof(k->build_id));
	kernel_work_begin(k);
	return 0;
}

/* Ends within @room, and is nothing but ASCII. */
static bool is_clean(const char *text, size_t room)
{
	for (size_t i = 0; i < room; i++) {
		if (!text[i])
			return true;
		if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] >= 0x7f)
			return false;
	}
	return false;
}

int kernel_facts_check(struct kernel_facts *facts, uint32_t n_places)
{
	uint32_t levels = facts->paging.levels;

	if (facts->place >= n_places || facts->watch.n > KERNEL_WATCH_WORDS || facts->n_named > SYMBOLS_MAX ||
	    (levels != 0 && levels != 4 && levels != 5))
		return -EBADMSG;
	return is_clean(facts->release, sizeof(facts->release)) && is_clean(facts->banner, sizeof(facts->banner)) &&
			       is_clean(facts->build_id, sizeof(facts->build_id))
		       ? 0
		       : -EBADMSG;
}

int kernel_watch_check(const struct kernel_watch *watch, struct memory *memory)
{
	for (uint64_t i = 0; i < watch->n; i++) {
		uint64_t value;
		/* Not by way of the cache, which takes a megabyte: who only watches need not have one. */
		int r = memory_read_large(memory, watch->words[i].gpa, &value, sizeof(value));

		if (r == -ESRCH || r == -ENOMEM)
			return r;
		if (r < 0 || (value & watch->words[i].mask) != watch->words[i].value)
			return -ESTALE;
	}
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A made-up guest for tests of what walks its memory: page tables are made as pages are mapped. */
#ifndef TESTS_BPF_GUEST_PAGES_H
#define TESTS_BPF_GUEST_PAGES_H

#include "guest_ram.h"

#define RAM_BYTES (64 * 4096)

/* Page numbers: tables from 1 on, data from 32 on. */
#define PAGE(n) ((uint64_t)(n) * 4096)

static inline struct guest_walk *new_guest(void)
{
	struct guest_walk *w = calloc(1, sizeof(*w));

	w->memory = (struct guest_memory){
		.ram = calloc(1, RAM_BYTES), .ram_bytes = RAM_BYTES, .absent_gpa = UINT64_MAX};
	w->cr3 = PAGE(1) | 0x18; /* the low bits are no address */
	w->levels = 4;
	return w;
}

static inline void free_guest(struct guest_walk *w)
{
	free(w->memory.ram);
	free(w);
}

static inline void put(struct guest_walk *w, uint64_t gpa, uint64_t value)
{
	memcpy(w->memory.ram + gpa, &value, sizeof(value));
}

static inline uint64_t at(const struct guest_walk *w, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, w->memory.ram + gpa, sizeof(value));
	return value;
}

/* Maps the page of @gva to @gpa; the last table is at @shift: 12, 21 or 30. Makes tables as needed. */
static inline void map_page(struct guest_walk *w, uint64_t gva, uint64_t gpa, unsigned int last_shift)
{
	uint64_t table = w->cr3 & PAGE_ADDRESS;

	for (unsigned int shift = w->levels == 5 ? 48 : 39; shift > last_shift; shift -= 9) {
		uint64_t entry = table + (gva >> shift & 511) * 8;

		if (!at(w, entry)) {
			uint64_t used = at(w, 0) ? at(w, 0) : 2; /* page 0 counts the tables */

			put(w, 0, used + 1);
			put(w, entry, PAGE(used) | 7);
		}
		table = at(w, entry) & PAGE_ADDRESS;
	}
	put(w, table + (gva >> last_shift & 511) * 8, gpa | (last_shift > 12 ? 0xe7 : 7) | 1ull << 63);
}

#endif

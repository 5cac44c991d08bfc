/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "session/hits.h"
#include "sym/symtab.h"
#include "util/hash.h"
#include "util/macro.h"

#define PAGE_SHIFT SYMTAB_PAGE_SHIFT
#define HITS_MAX   65536 /* pages: 256 MiB of code that is run */
#define GUESTS_MAX 65536

void hits_deinit(struct hits *hits)
{
	free(hits->slots);
	vec_free(&hits->guests);
	memset(hits, 0, sizeof(*hits));
}

static struct hit *find_slot(struct hit *slots, size_t room, uint32_t pid, uint64_t page)
{
	size_t i = hash_mix(page, pid) & (room - 1);

	while (slots[i].used && (slots[i].pid != pid || slots[i].address >> PAGE_SHIFT != page))
		i = (i + 1) & (room - 1);
	return &slots[i];
}

static bool grow(struct hits *hits)
{
	size_t room = hits->room ? hits->room * 2 : 256;
	struct hit *slots = calloc(room, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < hits->room; i++) {
		const struct hit *hit = &hits->slots[i];

		if (hit->used)
			*find_slot(slots, room, hit->pid, hit->address >> PAGE_SHIFT) = *hit;
	}
	free(hits->slots);
	hits->slots = slots;
	hits->room = room;
	return true;
}

/* false: there was no place for it. */
static bool add(struct hits *hits, uint32_t pid, uint32_t tid, uint64_t address, uint64_t time_ns)
{
	struct hit *slot;

	if (hits->n * 2 >= hits->room && (hits->n >= HITS_MAX || !grow(hits)))
		return false;
	slot = find_slot(hits->slots, hits->room, pid, address >> PAGE_SHIFT);
	if (slot->used)
		return true;
	*slot = (struct hit){
		.address = address, .time_ns = time_ns, .pid = pid, .tid = tid, .used = true};
	hits->n++;
	return true;
}

void hits_user(struct hits *hits, uint32_t pid, uint32_t tid, uint64_t address, uint64_t time_ns)
{
	(void)add(hits, pid, tid, address, time_ns);
}

void hits_host_kernel(struct hits *hits, uint64_t address)
{
	uint64_t page = address >> PAGE_SHIFT;
	uint64_t *recent = &hits->recent_pages[page % ARRAY_SIZE(hits->recent_pages)];

	if (*recent == page)
		return;
	*recent = page;
	hits->host_kernel = true;
	hits->host_kernel_address = address;
	if (!add(hits, 0, 0, address, 0))
		hits->host_kernel_forgotten = true;
}

/* Spaces of guests' processes share the table with processes, whose ids are below 2^22. */
#define OF_SPACE (1u << 31)

void hits_guest_user(struct hits *hits, uint32_t space, uint64_t address)
{
	(void)add(hits, OF_SPACE | space, 0, address, 0);
}

static bool is_kernel(const struct hit *hit)
{
	return hit->used && hit->pid == 0;
}

static int compare_pages(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t *hits_kernel_pages(const struct hits *hits, size_t *ret_n)
{
	uint64_t *pages = hits->host_kernel_forgotten ? NULL : malloc((hits->n + 1) * sizeof(*pages));
	size_t n = 0;

	for (size_t i = 0; pages && i < hits->room; i++)
		if (is_kernel(&hits->slots[i]))
			pages[n++] = hits->slots[i].address >> PAGE_SHIFT;
	if (pages)
		qsort(pages, n, sizeof(*pages), compare_pages);
	*ret_n = n;
	return pages;
}

void hits_guest(struct hits *hits, uint32_t guest, bool user, uint64_t address)
{
	size_t i = 2 * (size_t)guest + user;

	if (guest >= GUESTS_MAX)
		return;
	while (hits->guests.n <= i)
		if (!vec_push(&hits->guests, (struct hit){}))
			return;
	hits->guests.items[i].address = address;
	hits->guests.items[i].used = true;
}

void hits_resolve(const struct hits *hits, struct processes *processes,
		  struct vpmu_symbolizer *symbolizer)
{
	struct process_view view;
	struct vpmu_frame frame;

	if (hits->host_kernel)
		symbolizer_frame(symbolizer, VPMU_SIDE_HOST_KERNEL, VPMU_NO_GUEST, SPACE_NONE,
				 hits->host_kernel_address, false, &frame);
	for (size_t i = 0; i < hits->guests.n; i++)
		if (hits->guests.items[i].used)
			symbolizer_frame(symbolizer,
					 i & 1 ? VPMU_SIDE_GUEST_USER : VPMU_SIDE_GUEST_KERNEL,
					 (uint32_t)(i / 2), SPACE_NONE,
					 hits->guests.items[i].address, false, &frame);
	for (size_t i = 0; i < hits->room; i++) {
		const struct hit *hit = &hits->slots[i];

		if (!hit->used || is_kernel(hit))
			continue;
		if (hit->pid & OF_SPACE) {
			symbolizer_frame(symbolizer, VPMU_SIDE_GUEST_USER, VPMU_NO_GUEST, hit->pid & ~OF_SPACE,
					 hit->address, false, &frame);
			continue;
		}
		processes_at(processes, hit->pid, hit->tid, hit->time_ns, &view);
		symbolizer_frame(symbolizer, VPMU_SIDE_HOST_USER, VPMU_NO_GUEST, view.space,
				 hit->address, false, &frame);
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unwind tables and a kernel's stack, all made up: a head with registers, then the tables, then what was copied of the stack. */
#include "format/orc.h"
#include "fuzz.h"

#define FRAMES 126

struct head {
	uint8_t layout, adds_after, exact, has_others;
	uint32_t n_entries;
	uint64_t ips_gva, end_gva;
	uint64_t ip, sp, bp, ax, dx, di, r10, r13;
	struct {
		uint64_t gva;
		uint32_t n, unused;
	} slices[2];
};

static const uint8_t *find(uint64_t ip, void *data)
{
	return orc_table_find(data, ip);
}

/* Pieces of what is left, each with nothing behind it. */
static void make_stack(const struct head *head, const uint8_t *data, size_t left, struct orc_stack *stack, void *owned[2])
{
	for (size_t i = 0; i < 2; i++) {
		size_t n = head->slices[i].n < left ? head->slices[i].n : left;

		owned[i] = exact_copy(data, n);
		stack->slices[stack->n_slices++] = (struct orc_slice){head->slices[i].gva, n, owned[i]};
		data += n;
		left -= n;
	}
}

static void unwind(const struct head *head, struct orc_table *table, const struct orc_stack *stack)
{
	struct orc_kernel kernel = {.adds_after = head->adds_after & 1, .find = find, .data = table};
	struct orc_regs regs = {
		.ip = head->ip,
		.sp = head->sp,
		.bp = head->bp,
		.ax = head->ax,
		.dx = head->dx,
		.di = head->di,
		.r10 = head->r10,
		.r13 = head->r13,
		.has_others = head->has_others & 1,
		.exact = head->exact & 1,
	};
	uint64_t frames[FRAMES];
	enum orc_end end;
	size_t n;

	kernel.layout = (enum orc_layout)(1 + (head->layout & 3));
	end = orc_unwind(&kernel, stack, &regs, frames, FRAMES, &n);
	HOLDS(n <= FRAMES);
	HOLDS(end <= ORC_END_BAD_FRAME);
	HOLDS(end != ORC_END_NONE || n == FRAMES);
	touch(frames, n * sizeof(*frames));
	/* Callers are code that tables tell of. */
	for (size_t i = 0; i < n; i++)
		HOLDS(orc_table_find(table, frames[i]) || orc_table_find(table, frames[i] - 1));
}

/* As another process would tell it. */
static void decode(const uint8_t *data, size_t size)
{
	struct cursor cursor = cursor_of(data, size);
	struct orc_table table;

	if (orc_table_decode(&cursor, &table) < 0)
		return;
	HOLDS(table.n && table.at[0] == 0);
	HOLDS(table.end <= table.base || orc_table_find(&table, table.base));
	orc_table_deinit(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct orc_stack stack = {};
	struct orc_table table;
	struct head head;
	size_t n_ips, n_entries, at = sizeof(head);
	void *ips, *entries, *owned[2];

	decode(data, size);
	if (size < sizeof(head))
		return 0;
	memcpy(&head, data, sizeof(head));
	if (head.n_entries > (size - at) / (ORC_IP_BYTES + ORC_ENTRY_BYTES))
		return 0;
	n_ips = (size_t)head.n_entries * ORC_IP_BYTES;
	n_entries = (size_t)head.n_entries * ORC_ENTRY_BYTES;
	ips = exact_copy(data + at, n_ips);
	entries = exact_copy(data + at + n_ips, n_entries);
	if (orc_table_load(ips, n_ips, head.ips_gva, entries, n_entries, head.end_gva, &table) == 0) {
		at += n_ips + n_entries;
		make_stack(&head, data + at, size - at, &stack, owned);
		unwind(&head, &table, &stack);
		orc_table_deinit(&table);
		free(owned[0]);
		free(owned[1]);
	}
	free(ips);
	free(entries);
	return 0;
}

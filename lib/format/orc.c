/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/orc.h"
#include "util/macro.h"

/* ---- layouts ---- */

enum orc_layout orc_layout_of(const uint8_t header[ORC_HEADER_BYTES], const char *release)
{
	/* The hash of the structure's definition, scripts/orc_hash.sh. */
	static const struct {
		uint8_t start[4];
		enum orc_layout layout;
	} known[] = {
		{{0xdb, 0x84, 0xae, 0xd4}, ORC_LAYOUT_6_3},
		{{0xfe, 0x5d, 0x32, 0xbf}, ORC_LAYOUT_6_4},
		{{0x13, 0x7c, 0x36, 0xad}, ORC_LAYOUT_7_1},
	};
	unsigned int major = 0, minor = 0, build = 0;

	if (header) {
		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			if (memcmp(header, known[i].start, sizeof(known[i].start)) == 0)
				return known[i].layout;
		return 0;
	}
	/* RHEL 9.6 has taken 6.4's. */
	if (sscanf(release, "5.14.0-%u.", &build) == 1 && build >= 517 && strstr(release, ".el9"))
		return ORC_LAYOUT_6_4;
	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return 0;
	if (major > 6 || (major == 6 && minor >= 4))
		return major > 7 || (major == 7 && minor >= 1) ? ORC_LAYOUT_7_1 : ORC_LAYOUT_6_4;
	return major == 6 && minor == 3 ? ORC_LAYOUT_6_3 : ORC_LAYOUT_4_14;
}

enum type { TYPE_UNDEFINED, TYPE_END, TYPE_CALL, TYPE_REGS, TYPE_REGS_PARTIAL };
enum reg { REG_NONE, REG_AX, REG_DX, REG_SP, REG_BP, REG_DI, REG_R10, REG_R13, REG_PREV_SP, REG_SP_INDIRECT, REG_BP_INDIRECT, REG_BAD };

struct entry {
	int16_t sp_offset, bp_offset;
	enum reg sp_reg, bp_reg;
	enum type type;
	bool exact; /* the caller's address is one that was interrupted */
};

static enum reg reg_of(enum orc_layout layout, unsigned int number)
{
	static const uint8_t until_7_0[16] = {
		REG_NONE, REG_PREV_SP, REG_DX,	    REG_DI,	     REG_BP, REG_SP, REG_R10, REG_R13, REG_BP_INDIRECT,
		REG_SP_INDIRECT, REG_BAD, REG_BAD, REG_BAD, REG_BAD, REG_BAD, REG_BAD,
	};

	if (layout != ORC_LAYOUT_7_1)
		return until_7_0[number];
	return number < REG_BAD ? number : REG_BAD;
}

static void decode_old(enum orc_layout layout, unsigned int flags, struct entry *e)
{
	static const uint8_t types[4] = {TYPE_CALL, TYPE_REGS, TYPE_REGS_PARTIAL, TYPE_UNDEFINED};
	bool end = flags >> (layout == ORC_LAYOUT_6_3 ? 11 : 10) & 1;

	e->type = types[flags >> 8 & 3];
	if (e->sp_reg == REG_NONE)
		e->type = end ? TYPE_END : TYPE_UNDEFINED;
	if (layout == ORC_LAYOUT_6_3)
		e->exact = flags >> 10 & 1;
	else
		e->exact = e->type == TYPE_REGS || e->type == TYPE_REGS_PARTIAL;
}

static void decode(enum orc_layout layout, const uint8_t *bytes, struct entry *e)
{
	uint16_t flags;

	memcpy(&e->sp_offset, bytes, 2);
	memcpy(&e->bp_offset, bytes + 2, 2);
	memcpy(&flags, bytes + 4, 2);
	e->sp_reg = reg_of(layout, flags & 15);
	e->bp_reg = reg_of(layout, flags >> 4 & 15);
	if (layout < ORC_LAYOUT_6_4) {
		decode_old(layout, flags, e);
		return;
	}
	e->type = (flags >> 8 & 7) <= TYPE_REGS_PARTIAL ? flags >> 8 & 7 : TYPE_UNDEFINED;
	e->exact = flags >> 11 & 1;
}

/* ---- tables ---- */

int orc_table_load(const void *ips, size_t n_ips, uint64_t ips_gva, const void *entries, size_t n_entries, uint64_t end_gva,
		   struct orc_table *ret)
{
	size_t n = n_ips / ORC_IP_BYTES;
	struct orc_table table = {.n = n, .end = end_gva};
	uint64_t last = 0;

	if (!n || n > ORC_ENTRIES_MAX || n_ips % ORC_IP_BYTES || n_entries != n * ORC_ENTRY_BYTES)
		return -EBADMSG;
	table.at = malloc(n * sizeof(*table.at));
	table.entries = malloc(n_entries);
	if (!table.at || !table.entries) {
		orc_table_deinit(&table);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		int32_t distance;
		uint64_t ip;

		memcpy(&distance, (const uint8_t *)ips + i * ORC_IP_BYTES, sizeof(distance));
		ip = ips_gva + i * ORC_IP_BYTES + (uint64_t)(int64_t)distance;
		if (i == 0)
			table.base = last = ip;
		if (ip < last || ip - table.base > UINT32_MAX) {
			orc_table_deinit(&table);
			return -EBADMSG;
		}
		table.at[i] = (uint32_t)(ip - table.base);
		last = ip;
	}
	memcpy(table.entries, entries, n_entries);
	*ret = table;
	return 0;
}

void orc_table_deinit(struct orc_table *table)
{
	free(table->at);
	free(table->entries);
	*table = (struct orc_table){};
}

void orc_table_encode(const struct orc_table *table, struct strbuf *out)
{
	uint64_t head[3] = {table->base, table->end, table->n};

	strbuf_add(out, (const char *)head, sizeof(head));
	strbuf_add(out, (const char *)table->at, table->n * sizeof(*table->at));
	strbuf_add(out, (const char *)table->entries, table->n * ORC_ENTRY_BYTES);
}

static void *copy_of(const void *bytes, size_t n)
{
	void *copy = malloc(n);

	return copy ? memcpy(copy, bytes, n) : NULL;
}

int orc_table_decode(struct cursor *from, struct orc_table *ret)
{
	uint64_t base = cursor_u64(from), end = cursor_u64(from), n = cursor_u64(from);
	struct orc_table table = {.base = base, .end = end};
	const void *at, *entries;

	if (!n || n > ORC_ENTRIES_MAX)
		return -EBADMSG;
	table.n = (size_t)n;
	at = cursor_bytes(from, n * sizeof(*table.at));
	entries = cursor_bytes(from, n * ORC_ENTRY_BYTES);
	if (!at || !entries)
		return -EBADMSG;
	table.at = copy_of(at, table.n * sizeof(*table.at));
	table.entries = copy_of(entries, table.n * ORC_ENTRY_BYTES);
	if (!table.at || !table.entries) {
		orc_table_deinit(&table);
		return -ENOMEM;
	}
	for (size_t i = 0; i < table.n; i++)
		if (table.at[i] < (i ? table.at[i - 1] : 0) || (i == 0 && table.at[0])) {
			orc_table_deinit(&table);
			return -EBADMSG;
		}
	*ret = table;
	return 0;
}

const uint8_t *orc_table_find(const struct orc_table *table, uint64_t ip)
{
	uint64_t want = ip - table->base;
	size_t low = 0, high = table->n;

	if (ip < table->base || ip >= table->end || !high)
		return NULL;
	/* The last one that is not above: of entries for the same address the last one holds, as the kernel has it. */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (table->at[middle] <= want)
			low = middle;
		else
			high = middle;
	}
	return table->entries + low * ORC_ENTRY_BYTES;
}

/* ---- one step ---- */

/* struct pt_regs, arch/x86/include/asm/ptrace.h; what the processor pushes itself begins at ip. */
enum { PT_R13 = 16, PT_BP = 32, PT_R10 = 56, PT_AX = 80, PT_DX = 96, PT_DI = 112, PT_IP = 128 };
enum { FRAME_IP = 0, FRAME_CS = 8, FRAME_SP = 24 };
#define SLICE_NONE SIZE_MAX

/* The slice that has @n bytes at @gva, or, where one ends, that it ends at. */
static size_t slice_at(const struct orc_stack *stack, uint64_t gva, size_t n)
{
	for (size_t i = 0; i < stack->n_slices; i++) {
		const struct orc_slice *slice = &stack->slices[i];

		if (gva >= slice->gva && gva - slice->gva <= slice->n && slice->n - (gva - slice->gva) >= n)
			return i;
	}
	return SLICE_NONE;
}

static bool read_word(const struct orc_stack *stack, uint64_t gva, uint64_t *ret)
{
	size_t i = slice_at(stack, gva, sizeof(*ret));

	if (i == SLICE_NONE)
		return false;
	memcpy(ret, stack->slices[i].bytes + (gva - stack->slices[i].gva), sizeof(*ret));
	return true;
}

static bool plain_register(enum reg reg, const struct orc_regs *regs, uint64_t *ret)
{
	switch (reg) {
	case REG_AX: *ret = regs->ax; break;
	case REG_DX: *ret = regs->dx; break;
	case REG_DI: *ret = regs->di; break;
	case REG_R10: *ret = regs->r10; break;
	case REG_R13: *ret = regs->r13; break;
	default: return false;
	}
	return regs->has_others;
}

/* The caller's stack pointer. */
static enum orc_end find_sp(const struct orc_kernel *kernel, const struct orc_stack *stack, const struct entry *e,
			    const struct orc_regs *regs, uint64_t *ret_sp)
{
	uint64_t offset = (uint64_t)(int64_t)e->sp_offset, value;

	switch (e->sp_reg) {
	case REG_SP:
		*ret_sp = regs->sp + offset;
		return ORC_END_NONE;
	case REG_BP:
		*ret_sp = regs->bp + offset;
		return ORC_END_NONE;
	case REG_BP_INDIRECT:
		return read_word(stack, regs->bp + offset, ret_sp) ? ORC_END_NONE : ORC_END_NO_STACK;
	case REG_SP_INDIRECT:
		if (!read_word(stack, regs->sp + (kernel->adds_after ? 0 : offset), &value))
			return ORC_END_NO_STACK;
		*ret_sp = value + (kernel->adds_after ? offset : 0);
		return ORC_END_NONE;
	default:
		/* These are added to as well, but no kernel does. */
		if (!plain_register(e->sp_reg, regs, &value))
			return ORC_END_NO_ENTRY;
		*ret_sp = value + offset;
		return ORC_END_NONE;
	}
}

/* What an interrupt or a system call has stored at @at. */
static enum orc_end take_pushed(const struct orc_stack *stack, uint64_t at, bool whole, struct orc_regs *next, bool *ret_user)
{
	static const struct {
		uint16_t from, to;
	} others[] = {
		{PT_R13, offsetof(struct orc_regs, r13)}, {PT_BP, offsetof(struct orc_regs, bp)},
		{PT_R10, offsetof(struct orc_regs, r10)}, {PT_AX, offsetof(struct orc_regs, ax)},
		{PT_DX, offsetof(struct orc_regs, dx)},	  {PT_DI, offsetof(struct orc_regs, di)},
	};
	uint64_t frame = whole ? at + PT_IP : at, cs;

	if (!read_word(stack, frame + FRAME_IP, &next->ip) || !read_word(stack, frame + FRAME_CS, &cs) ||
	    !read_word(stack, frame + FRAME_SP, &next->sp))
		return ORC_END_NO_STACK;
	for (size_t i = 0; whole && i < ARRAY_SIZE(others); i++)
		if (!read_word(stack, at + others[i].from, (uint64_t *)((char *)next + others[i].to)))
			return ORC_END_NO_STACK;
	next->has_others = whole;
	/* With FRED, there is more in the same word. */
	*ret_user = (cs & 0xffff & 3) != 0;
	return ORC_END_NONE;
}

/* rbp of the caller, unless it was among what was pushed. */
static enum orc_end find_bp(const struct orc_stack *stack, const struct entry *e, const struct orc_regs *regs, uint64_t prev_sp,
			    uint64_t *ret_bp)
{
	uint64_t offset = (uint64_t)(int64_t)e->bp_offset;

	switch (e->bp_reg) {
	case REG_NONE:
		return ORC_END_NONE;
	case REG_PREV_SP:
		return read_word(stack, prev_sp + offset, ret_bp) ? ORC_END_NONE : ORC_END_NO_STACK;
	case REG_BP:
		return read_word(stack, regs->bp + offset, ret_bp) ? ORC_END_NONE : ORC_END_NO_STACK;
	default:
		return ORC_END_NO_ENTRY;
	}
}

/* Up its stack, or on to one that comes later. This also ends circles. */
static bool rises(const struct orc_stack *stack, uint64_t from, uint64_t to)
{
	size_t old = slice_at(stack, from, 0), new = slice_at(stack, to, 0);

	return old == new ? to > from : new != SLICE_NONE && (old == SLICE_NONE || new > old);
}

static enum orc_end step(const struct orc_kernel *kernel, const struct orc_stack *stack, const uint8_t *bytes, struct orc_regs *regs)
{
	struct orc_regs next = *regs;
	bool user = false;
	enum orc_end end;
	struct entry e;
	uint64_t sp;

	decode(kernel->layout, bytes, &e);
	if (e.type == TYPE_END)
		return ORC_END_OUTERMOST;
	if (e.type == TYPE_UNDEFINED)
		return ORC_END_NO_ENTRY;
	end = find_sp(kernel, stack, &e, regs, &sp);
	if (end == ORC_END_NONE && e.type != TYPE_CALL) {
		end = take_pushed(stack, sp, e.type == TYPE_REGS, &next, &user);
	} else if (end == ORC_END_NONE) {
		next.sp = sp;
		next.has_others = false;
		end = read_word(stack, sp - 8, &next.ip) ? ORC_END_NONE : ORC_END_NO_STACK;
	}
	if (end == ORC_END_NONE && e.bp_reg != REG_NONE)
		end = find_bp(stack, &e, regs, sp, &next.bp);
	if (end != ORC_END_NONE)
		return end;
	next.exact = e.exact;
	if (!user && !rises(stack, regs->sp, next.sp))
		return ORC_END_BAD_FRAME;
	*regs = next;
	return user ? ORC_END_USER : ORC_END_NONE;
}

static const uint8_t *find_entry(const struct orc_kernel *kernel, const struct orc_regs *regs)
{
	return kernel->find(regs->ip - !regs->exact, kernel->data);
}

enum orc_end orc_step(const struct orc_kernel *kernel, const struct orc_stack *stack, struct orc_regs *regs)
{
	const uint8_t *entry = find_entry(kernel, regs);

	return entry ? step(kernel, stack, entry, regs) : ORC_END_NO_ENTRY;
}

enum orc_end orc_unwind(const struct orc_kernel *kernel, const struct orc_stack *stack, struct orc_regs *regs, uint64_t *frames,
			size_t room, size_t *ret_n)
{
	const uint8_t *entry = find_entry(kernel, regs);
	enum orc_end end = ORC_END_NO_ENTRY;
	size_t n = 0;

	while (entry) {
		end = step(kernel, stack, entry, regs);
		if (end != ORC_END_NONE || n == room)
			break;
		/* What no table tells of may as well be no code. */
		entry = find_entry(kernel, regs);
		if (!entry)
			end = ORC_END_NO_ENTRY;
		else
			frames[n++] = regs->ip;
	}
	*ret_n = n;
	return end;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>

#include "format/orc.h"
#include "test.h"
#include "util/io.h"

#define TEXT  0xffffffff81000000u
#define IPS   0xffffffff82000000u
#define STACK 0xffffc90000010000u
#define TOP   (STACK + 0x1000)

/* Flags as layout 3 has them. */
enum { PREV_SP = 1, DX = 2, BP = 4, SP = 5, BP_INDIRECT = 8, SP_INDIRECT = 9 };
enum { CALL = 2, REGS = 3, PARTIAL = 4, END = 1, UNDEFINED = 0 };
#define FLAGS(sp_reg, bp_reg, type) ((sp_reg) | (bp_reg) << 4 | (type) << 8)
#define SIGNAL			    (1 << 11)

struct rule {
	uint32_t offset; /* from TEXT */
	int16_t sp_offset, bp_offset;
	uint16_t flags;
};

static struct orc_table make_table(const struct rule *rules, size_t n)
{
	uint8_t entries[64 * ORC_ENTRY_BYTES];
	struct orc_table table;
	int32_t ips[64];

	for (size_t i = 0; i < n; i++) {
		ips[i] = (int32_t)((int64_t)(TEXT + rules[i].offset) - (int64_t)(IPS + i * 4));
		memcpy(entries + i * ORC_ENTRY_BYTES, &rules[i].sp_offset, 2);
		memcpy(entries + i * ORC_ENTRY_BYTES + 2, &rules[i].bp_offset, 2);
		memcpy(entries + i * ORC_ENTRY_BYTES + 4, &rules[i].flags, 2);
	}
	CHECK_EQ(orc_table_load(ips, n * 4, IPS, entries, n * ORC_ENTRY_BYTES, TEXT + 0x10000, &table), 0);
	return table;
}

static const uint8_t *find(uint64_t ip, void *data)
{
	return orc_table_find(data, ip);
}

/* A guest's kernel with one stack. */
struct guest {
	struct orc_table table;
	struct orc_kernel kernel;
	struct orc_stack stack;
	uint64_t words[512];
	struct orc_regs regs;
	uint64_t frames[126];
	size_t n;
};

static struct guest *new_guest(const struct rule *rules, size_t n)
{
	struct guest *g = calloc(1, sizeof(*g));

	g->table = make_table(rules, n);
	g->kernel = (struct orc_kernel){ORC_LAYOUT_6_4, true, find, &g->table};
	g->stack = (struct orc_stack){.slices = {{STACK, sizeof(g->words), (const uint8_t *)g->words}}, .n_slices = 1};
	g->regs = (struct orc_regs){.ip = TEXT, .sp = STACK, .exact = true};
	return g;
}

#define NEW_GUEST(...) new_guest((const struct rule[]){__VA_ARGS__}, sizeof((const struct rule[]){__VA_ARGS__}) / sizeof(struct rule))

static enum orc_end unwind(struct guest *g, size_t room)
{
	return orc_unwind(&g->kernel, &g->stack, &g->regs, g->frames, room, &g->n);
}

static void put(struct guest *g, uint64_t gva, uint64_t word)
{
	g->words[(gva - STACK) / 8] = word;
}

static void free_guest(struct guest *g)
{
	orc_table_deinit(&g->table);
	free(g);
}

TEST(the_layout_is_known_by_the_header_or_else_by_the_release)
{
	uint8_t header[ORC_HEADER_BYTES] = {0xfe, 0x5d, 0x32, 0xbf};

	CHECK_EQ(orc_layout_of(header, "5.4.0"), ORC_LAYOUT_6_4);
	header[0] = 0;
	CHECK_EQ(orc_layout_of(header, "6.12.0"), 0);
	CHECK_EQ(orc_layout_of(NULL, "5.10.0-32-cloud-amd64"), ORC_LAYOUT_4_14);
	CHECK_EQ(orc_layout_of(NULL, "6.1.0-50-cloud-amd64"), ORC_LAYOUT_4_14);
	CHECK_EQ(orc_layout_of(NULL, "6.3.1"), ORC_LAYOUT_6_3);
	CHECK_EQ(orc_layout_of(NULL, "6.4.0-rc1"), ORC_LAYOUT_6_4);
	CHECK_EQ(orc_layout_of(NULL, "7.0.13"), ORC_LAYOUT_6_4);
	CHECK_EQ(orc_layout_of(NULL, "7.1.0"), ORC_LAYOUT_7_1);
	CHECK_EQ(orc_layout_of(NULL, "5.14.0-503.el9.x86_64"), ORC_LAYOUT_4_14);
	CHECK_EQ(orc_layout_of(NULL, "5.14.0-570.12.1.el9_6.x86_64"), ORC_LAYOUT_6_4);
	CHECK_EQ(orc_layout_of(NULL, ""), 0);
}

TEST(an_entry_holds_up_to_the_next_one)
{
	static const struct rule rules[] = {{0x10, 8, 0, 0}, {0x20, 16, 0, 0}, {0x20, 24, 0, 0}, {0x30, 32, 0, 0}};
	struct orc_table table = make_table(rules, 4);
	static const struct {
		uint32_t offset;
		int16_t want;
	} asked[] = {{0x10, 8}, {0x1f, 8}, {0x20, 24}, {0x2f, 24}, {0x30, 32}, {0xffff, 32}};

	CHECK(!orc_table_find(&table, TEXT + 0xf));
	CHECK(!orc_table_find(&table, TEXT + 0x10000));
	CHECK(!orc_table_find(&table, 0));
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		int16_t got;

		memcpy(&got, orc_table_find(&table, TEXT + asked[i].offset), 2);
		CHECK_EQ(got, asked[i].want);
	}
	orc_table_deinit(&table);
}

TEST(tables_that_make_no_sense_are_refused)
{
	uint8_t entries[2 * ORC_ENTRY_BYTES] = {};
	struct orc_table table;
	int32_t falling[2] = {100, 50}, far[2] = {INT32_MIN, INT32_MAX};

	CHECK_EQ(orc_table_load(falling, 8, IPS, entries, sizeof(entries), TEXT, &table), -EBADMSG);
	CHECK_EQ(orc_table_load(falling, 8, IPS, entries, 6, TEXT, &table), -EBADMSG);
	CHECK_EQ(orc_table_load(falling, 7, IPS, entries, 6, TEXT, &table), -EBADMSG);
	CHECK_EQ(orc_table_load(falling, 0, IPS, entries, 0, TEXT, &table), -EBADMSG);
	CHECK_EQ(orc_table_load(far, 8, IPS, entries, sizeof(entries), TEXT, &table), -EBADMSG);
}

/* A function that has pushed nothing, one with locals, one that keeps rbp as its frame pointer, and the entry of system calls. */
TEST(a_system_call_is_unwound_to_user_mode)
{
	struct guest *g = NEW_GUEST({0, 8, 0, FLAGS(SP, 0, CALL)}, {0x100, 32, 0, FLAGS(SP, 0, CALL)},
				    {0x200, 16, -16, FLAGS(BP, PREV_SP, CALL)}, {0x300, 0, 0, FLAGS(SP, 0, REGS)});

	put(g, STACK, TEXT + 0x110);
	put(g, STACK + 32, TEXT + 0x210);
	g->regs.bp = STACK + 64; /* the third's */
	put(g, STACK + 64, 0x7ffd0000);
	put(g, STACK + 72, TEXT + 0x310);
	put(g, STACK + 80 + 128, 0x401000);
	put(g, STACK + 80 + 136, 0x33);
	put(g, STACK + 80 + 152, 0x7ffd1000);
	put(g, STACK + 80 + 32, 0x7ffd2000);
	CHECK_EQ(unwind(g, 126), ORC_END_USER);
	CHECK_EQ(g->n, 3);
	CHECK_EQ(g->frames[0], TEXT + 0x110);
	CHECK_EQ(g->frames[1], TEXT + 0x210);
	CHECK_EQ(g->frames[2], TEXT + 0x310);
	CHECK_EQ(g->regs.ip, 0x401000);
	CHECK_EQ(g->regs.sp, 0x7ffd1000);
	CHECK_EQ(g->regs.bp, 0x7ffd2000);
	free_guest(g);
}

/* A call may be the last instruction: what it returns to belongs to the next function. An interrupted address is just that. */
TEST(return_addresses_are_looked_up_where_the_call_is)
{
	struct guest *g = NEW_GUEST({0, 8, 0, FLAGS(SP, 0, CALL)}, {0x100, 8, 0, FLAGS(SP, 0, CALL)},
				    {0x200, 0, 0, FLAGS(0, 0, UNDEFINED)}, {0x300, 0, 0, FLAGS(SP, 0, PARTIAL) | SIGNAL},
				    {0x400, 0, 0, FLAGS(0, 0, END)});

	put(g, STACK, TEXT + 0x200);
	put(g, STACK + 8, TEXT + 0x310);
	put(g, STACK + 16, TEXT + 0x400);
	put(g, STACK + 24, 0x10);
	put(g, STACK + 40, STACK + 64);
	CHECK_EQ(unwind(g, 126), ORC_END_OUTERMOST);
	CHECK_EQ(g->n, 3);
	CHECK_EQ(g->frames[2], TEXT + 0x400);
	CHECK(g->regs.exact);
	CHECK_EQ(g->regs.sp, STACK + 64);
	free_guest(g);
}

/* do_softirq_own_stack() and its kind: the word at the top of the interrupts' stack is the task's stack pointer. */
TEST(the_way_leads_from_the_interrupts_stack_to_the_tasks)
{
	struct guest *g = NEW_GUEST({0, 8, 0, FLAGS(SP, 0, CALL)}, {0x100, 8, 0, FLAGS(SP_INDIRECT, 0, CALL)},
				    {0x200, 0, 0, FLAGS(0, 0, END)});
	uint64_t irq[2] = {TEXT + 0x110, TOP - 16};

	g->stack.slices[1] = g->stack.slices[0];
	g->stack.slices[0] = (struct orc_slice){0xffffc90000000000u, sizeof(irq), (const uint8_t *)irq};
	g->stack.n_slices = 2;
	g->regs.sp = 0xffffc90000000000u;
	put(g, TOP - 16, TEXT + 0x210);
	CHECK_EQ(unwind(g, 126), ORC_END_OUTERMOST);
	CHECK_EQ(g->n, 2);
	CHECK_EQ(g->frames[1], TEXT + 0x210);
	/* And not back. */
	irq[1] = 0xffffc90000000000u - 8;
	g->regs = (struct orc_regs){.ip = TEXT, .sp = 0xffffc90000000000u, .exact = true};
	CHECK_EQ(unwind(g, 126), ORC_END_NO_STACK);
	CHECK_EQ(g->n, 1);
	free_guest(g);
}

TEST(what_cannot_be_known_ends_the_chain_with_its_reason)
{
	struct guest *g = NEW_GUEST({0, 8, 0, FLAGS(SP, 0, CALL)}, {0x100, 8, 0, FLAGS(DX, 0, CALL)},
				    {0x200, -8, 0, FLAGS(SP, 0, CALL)}, {0x300, 0, 0, FLAGS(0, 0, UNDEFINED)});

	put(g, STACK, 0xdead);
	CHECK_EQ(unwind(g, 126), ORC_END_NO_ENTRY);
	CHECK_EQ(g->n, 0); /* it is no caller */
	g->regs = (struct orc_regs){.ip = TEXT, .sp = TOP - 4, .exact = true};
	CHECK_EQ(unwind(g, 126), ORC_END_NO_STACK);
	g->regs = (struct orc_regs){.ip = TEXT + 0x100, .sp = STACK, .dx = STACK + 8, .exact = true};
	CHECK_EQ(unwind(g, 126), ORC_END_NO_ENTRY); /* rdx is lost by now */
	put(g, STACK + 8, TEXT + 0x310);
	g->regs.has_others = true;
	CHECK_EQ(unwind(g, 126), ORC_END_NO_ENTRY);
	CHECK_EQ(g->n, 1);
	put(g, STACK + 16, TEXT);
	g->regs = (struct orc_regs){.ip = TEXT + 0x200, .sp = STACK + 32, .exact = true};
	CHECK_EQ(unwind(g, 126), ORC_END_BAD_FRAME);
	free_guest(g);
}

TEST(a_circle_ends)
{
	struct guest *g = NEW_GUEST({0, 8, 0, FLAGS(BP, PREV_SP, CALL)});

	for (size_t i = 0; i < 512; i++)
		g->words[i] = TEXT + 8;
	g->regs.bp = STACK + 64;
	CHECK_EQ(unwind(g, 126), ORC_END_NO_STACK);
	put(g, STACK + 64, TEXT + 8);
	put(g, STACK + 72, STACK + 64);
	g->regs = (struct orc_regs){.ip = TEXT, .sp = STACK, .bp = STACK + 64, .exact = true};
	CHECK(unwind(g, 126) != ORC_END_NONE);
	CHECK(g->n < 3);
	free_guest(g);
}

TEST(a_chain_that_is_longer_than_the_room_says_so)
{
	struct guest *g = NEW_GUEST({0, 8, 0, FLAGS(SP, 0, CALL)});

	for (size_t i = 0; i < 512; i++)
		g->words[i] = TEXT + 8;
	CHECK_EQ(unwind(g, 126), ORC_END_NONE);
	CHECK_EQ(g->n, 126);
	free_guest(g);
}

/* The same rules, as each layout writes them. */
TEST(layouts_differ_in_their_flags)
{
	static const struct {
		enum orc_layout layout;
		uint16_t call, partial, end;
	} known[] = {
		{ORC_LAYOUT_4_14, 5, 5 | 2 << 8, 1 << 10},
		{ORC_LAYOUT_6_3, 5, 5 | 2 << 8 | 1 << 10, 1 << 11},
		{ORC_LAYOUT_6_4, 5 | 2 << 8, 5 | 4 << 8 | 1 << 11, 1 << 8},
		{ORC_LAYOUT_7_1, 3 | 2 << 8, 3 | 4 << 8 | 1 << 11, 1 << 8},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct guest *g = NEW_GUEST({0, 8, 0, known[i].call}, {0x100, 0, 0, known[i].partial}, {0x200, 0, 0, known[i].end});

		g->kernel.layout = known[i].layout;
		put(g, STACK, TEXT + 0x101);
		put(g, STACK + 8, TEXT + 0x200);
		put(g, STACK + 32, STACK + 64);
		CHECK_EQ(unwind(g, 126), ORC_END_OUTERMOST);
		CHECK_EQ(g->n, 2);
		CHECK_EQ(g->frames[1], TEXT + 0x200);
		free_guest(g);
	}
}

TEST(until_5_12_an_indirect_stack_pointer_is_read_otherwise)
{
	struct guest *g = NEW_GUEST({0, 8, 0, FLAGS(SP_INDIRECT, 0, CALL)}, {0x100, 0, 0, FLAGS(0, 0, END)});

	put(g, STACK, STACK + 64);
	put(g, STACK + 64, TEXT + 0x110);
	CHECK_EQ(unwind(g, 126), ORC_END_OUTERMOST);
	CHECK_EQ(g->regs.sp, STACK + 72);
	g->kernel.adds_after = false;
	g->regs = (struct orc_regs){.ip = TEXT, .sp = STACK, .exact = true};
	put(g, STACK + 8, STACK + 128);
	put(g, STACK + 120, TEXT + 0x120);
	CHECK_EQ(unwind(g, 126), ORC_END_OUTERMOST);
	CHECK_EQ(g->regs.sp, STACK + 128);
	CHECK_EQ(g->frames[0], TEXT + 0x120);
	free_guest(g);
}

/*
 * A sleeping kernel thread of Linux 5.10.0-32 (Debian), "cryptomgr_test": its stack, and the entries that were needed, which are all
 * there is of the tables. The file begins as fuzz-orc.c says.
 */
TEST(a_recorded_stack_is_unwound_as_the_kernel_would)
{
	static const uint64_t wanted[] = {
		0xffffffff8b524550, 0xffffffff8b47c424, 0xffffffff8b47d7e5, 0xffffffff8b4837c6, 0xffffffff8b483b59,
		0xffffffff8b480188, 0xffffffff8b47e517, 0xffffffff8b0a6cfb, 0xffffffff8b001c22,
	};
	struct {
		uint8_t layout, adds_after, exact, has_others;
		uint32_t n_entries;
		uint64_t ips_gva, end_gva, ip, sp, bp, others[5], slice_gva;
		uint32_t n_stack;
	} head;
	uint64_t frames[126];
	struct orc_table table;
	size_t n_bytes, n, ips = 120; /* behind the head */
	char *bytes;

	CHECK_EQ(io_read_file(AT_FDCWD, TESTS_UNIT_DIR "/../fuzz/corpus/orc/linux-5.10-kernel-thread", 1 << 20, &bytes, &n_bytes), 0);
	memcpy(&head, bytes, sizeof(head));
	CHECK_EQ(n_bytes, ips + head.n_entries * 10ull + head.n_stack);
	CHECK_EQ(orc_table_load(bytes + ips, head.n_entries * 4ull, head.ips_gva, bytes + ips + head.n_entries * 4ull,
				head.n_entries * 6ull, head.end_gva, &table), 0);
	struct orc_kernel kernel = {ORC_LAYOUT_4_14, false, find, &table};
	struct orc_stack stack = {.slices = {{head.slice_gva, head.n_stack, (uint8_t *)bytes + ips + head.n_entries * 10ull}},
				  .n_slices = 1};
	struct orc_regs regs = {.ip = head.ip, .sp = head.sp, .bp = head.bp};

	CHECK_EQ(orc_unwind(&kernel, &stack, &regs, frames, 126, &n), ORC_END_OUTERMOST);
	CHECK_EQ(n, sizeof(wanted) / sizeof(*wanted));
	CHECK(memcmp(frames, wanted, sizeof(wanted)) == 0);
	orc_table_deinit(&table);
	free(bytes);
}

int main(void)
{
	return test_main();
}

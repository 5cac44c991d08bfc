/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "format/cfi.h"
#include "test.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/macro.h"

#define CODE  0x401000u
#define CODE_BYTES 0x1000u
#define STACK 0x7ffd00001000u
#define WORDS 128

/* A program with one file, at CODE, and its stack. */
struct program {
	struct cfi_table table;
	uint64_t words[WORDS];
	struct cfi_stack stack;
	struct cfi_regs regs;
	uint64_t frames[8];
	size_t n;
};

static struct program new_program(const struct cfi_row *rows, size_t n)
{
	struct program p = {.table = {calloc(n, sizeof(*rows)), n}, .regs = {.ip = CODE, .sp = STACK, .exact = true}};

	memcpy(p.table.rows, rows, n * sizeof(*rows));
	return p;
}

static bool find(uint64_t ip, const struct cfi_row **ret_row, void *data)
{
	const struct program *p = data;

	if (ip - CODE >= CODE_BYTES)
		return false;
	*ret_row = cfi_table_find(&p->table, ip - CODE);
	return true;
}

static bool find_recorded(uint64_t ip, const struct cfi_row **ret_row, void *data)
{
	const struct program *p = data;

	if (ip - 0x400000 >= 0x80000)
		return false;
	*ret_row = cfi_table_find(&p->table, ip - 0x400000);
	return true;
}

static enum cfi_end unwind(struct program *p, size_t room)
{
	const struct cfi_code code = {find, p};

	p->stack = (struct cfi_stack){STACK, sizeof(p->words), (const uint8_t *)p->words};
	return cfi_unwind(&code, &p->stack, &p->regs, p->frames, room, &p->n);
}

/* The word at STACK + @offset. */
#define AT(p, offset) ((p)->words[(offset) / 8])

#define LEAF  {0x000, 8, 0, CFI_SP, CFI_BP_SAME}
#define FRAME {0x100, 48, 0, CFI_SP, CFI_BP_SAME}
#define POINTER {0x200, 16, -16, CFI_BP, CFI_BP_SAVED}
#define START {0x300, 0, 0, CFI_OUTERMOST, 0}
#define GAP   {0x400, 0, 0, CFI_UNKNOWN, 0}

static const struct cfi_row usual[] = {LEAF, FRAME, POINTER, START, GAP};

TEST(callers_are_found_by_stack_and_frame_pointer)
{
	struct program p = new_program(usual, 5);

	AT(&p, 0) = CODE + 0x120;	/* the leaf's return */
	AT(&p, 48) = CODE + 0x210;	/* the next one's, whose rbp is where it keeps it */
	p.regs.bp = STACK + 200;
	AT(&p, 200) = 0x1234;
	AT(&p, 208) = CODE + 0x310;
	CHECK_EQ(unwind(&p, 8), CFI_END_OUTERMOST);
	CHECK_EQ(p.n, 3);
	CHECK_EQ(p.frames[0], CODE + 0x120);
	CHECK_EQ(p.frames[1], CODE + 0x210);
	CHECK_EQ(p.frames[2], CODE + 0x310);
	CHECK_EQ(p.regs.bp, 0x1234);
	CHECK_EQ(p.regs.sp, STACK + 216);
	cfi_table_deinit(&p.table);
}

TEST(a_call_may_be_the_last_instruction_of_its_function)
{
	struct program p = new_program(usual, 5);

	AT(&p, 0) = CODE + 0x200; /* behind the function with a frame of 48 */
	AT(&p, 48) = CODE + 0x310;
	CHECK_EQ(unwind(&p, 8), CFI_END_OUTERMOST);
	CHECK_EQ(p.n, 2);
	/* What was interrupted there has not begun the next one's frame either: it is the next one. */
	p.regs = (struct cfi_regs){.ip = CODE + 0x200, .sp = STACK, .bp = STACK + 200, .exact = true};
	AT(&p, 208) = CODE + 0x310;
	CHECK_EQ(unwind(&p, 8), CFI_END_OUTERMOST);
	CHECK_EQ(p.n, 1);
	cfi_table_deinit(&p.table);
}

TEST(a_piece_that_calls_into_another_file_pushes_a_word_in_between)
{
	static const struct cfi_row rows[] = {{0x000, 11, 0, CFI_PLT, 0}, START};
	struct program p = new_program(rows, 2);

	AT(&p, 0) = CODE + 0x310;
	p.regs.ip = CODE + 6;
	CHECK_EQ(unwind(&p, 8), CFI_END_OUTERMOST);
	CHECK_EQ(p.frames[0], CODE + 0x310);
	AT(&p, 0) = 17; /* the number of what is called */
	AT(&p, 8) = CODE + 0x320;
	p.regs = (struct cfi_regs){.ip = CODE + 0x1b, .sp = STACK, .exact = true};
	CHECK_EQ(unwind(&p, 8), CFI_END_OUTERMOST);
	CHECK_EQ(p.frames[0], CODE + 0x320);
	cfi_table_deinit(&p.table);
}

TEST(a_function_that_aligns_its_stack_keeps_where_it_was)
{
	static const struct cfi_row rows[] = {{0x000, -8, 0, CFI_BP_WORD, CFI_BP_HERE}, START};
	struct program p = new_program(rows, 2);

	p.regs.bp = STACK + 64;
	AT(&p, 56) = STACK + 400;
	AT(&p, 64) = 0x5678;
	AT(&p, 392) = CODE + 0x310;
	CHECK_EQ(unwind(&p, 8), CFI_END_OUTERMOST);
	CHECK_EQ(p.n, 1);
	CHECK_EQ(p.regs.bp, 0x5678);
	CHECK_EQ(p.regs.sp, STACK + 400);
	cfi_table_deinit(&p.table);
}

TEST(a_signal_handler_returns_to_where_the_program_was_interrupted)
{
	static const struct cfi_row rows[] = {LEAF, {0x050, 160, 0, CFI_SIGNAL, 0}, FRAME, START};
	struct program p = new_program(rows, 4);

	AT(&p, 0) = CODE + 0x060;
	AT(&p, 8 + 120) = 0x99;		/* rbp */
	AT(&p, 8 + 160) = STACK + 600;	/* rsp */
	AT(&p, 8 + 168) = CODE + 0x100; /* rip: the first instruction, not the end of the one before */
	AT(&p, 640) = CODE + 0x310;
	CHECK_EQ(unwind(&p, 8), CFI_END_OUTERMOST);
	CHECK_EQ(p.n, 3);
	CHECK_EQ(p.frames[1], CODE + 0x100);
	CHECK_EQ(p.frames[2], CODE + 0x310);
	CHECK_EQ(p.regs.bp, 0x99);
	cfi_table_deinit(&p.table);
}

TEST(what_no_row_tells_is_the_end)
{
	static const struct cfi_row rows[] = {{0x000, 8, 0, CFI_SP, CFI_BP_LOST}, POINTER, GAP};
	struct program p = new_program(rows, 3);

	p.regs.bp = STACK + 200;
	AT(&p, 0) = CODE + 0x210; /* by rbp, but that is lost */
	CHECK_EQ(unwind(&p, 8), CFI_END_NO_ROW);
	CHECK_EQ(p.n, 1);
	CHECK_EQ(p.regs.ip, CODE + 0x210);
	p.regs = (struct cfi_regs){.ip = CODE + 0x410, .sp = STACK, .exact = true};
	CHECK_EQ(unwind(&p, 8), CFI_END_NO_ROW);
	CHECK_EQ(p.n, 0);
	cfi_table_deinit(&p.table);
}

TEST(what_is_no_code_is_no_caller)
{
	struct program p = new_program(usual, 5);

	AT(&p, 0) = CODE - 1;
	CHECK_EQ(unwind(&p, 8), CFI_END_BAD_RETURN);
	CHECK_EQ(p.n, 0);
	AT(&p, 0) = 0;
	CHECK_EQ(unwind(&p, 8), CFI_END_OUTERMOST);
	CHECK_EQ(p.n, 0);
	cfi_table_deinit(&p.table);
}

TEST(a_stack_that_ends_or_goes_down_ends_the_chain)
{
	struct program p = new_program(usual, 5);

	AT(&p, 0) = CODE + 0x120;
	p.regs.sp = STACK + WORDS * 8 - 40; /* the frame of 48 is cut */
	p.words[WORDS - 5] = CODE + 0x120;
	CHECK_EQ(unwind(&p, 8), CFI_END_NO_STACK);
	CHECK_EQ(p.n, 1);
	p.regs = (struct cfi_regs){.ip = CODE + 0x210, .sp = STACK + 80, .bp = STACK + 8, .exact = true};
	CHECK_EQ(unwind(&p, 8), CFI_END_BAD_FRAME);
	p.regs.bp = STACK + 81;
	CHECK_EQ(unwind(&p, 8), CFI_END_BAD_FRAME);
	p.regs.bp = UINT64_MAX - 15;
	CHECK_EQ(unwind(&p, 8), CFI_END_BAD_FRAME);
	p.regs.bp = UINT64_MAX / 2 & ~7ULL;
	CHECK_EQ(unwind(&p, 8), CFI_END_NO_STACK);
	CHECK_EQ(p.n, 0);
	cfi_table_deinit(&p.table);
}

TEST(recursion_takes_the_room_that_there_is)
{
	struct program p = new_program(usual, 5);

	for (int i = 0; i < WORDS; i++)
		p.words[i] = CODE + 0x010; /* the leaf calls itself */
	CHECK_EQ(unwind(&p, 3), CFI_END_NONE);
	CHECK_EQ(p.n, 3);
	CHECK_EQ(p.regs.sp, STACK + 24);
	cfi_table_deinit(&p.table);
}

/* Out of the fuzzer's corpus (tests/fuzz/fuzz-cfi.c): a real program's, with the rows that it takes. */
static size_t unwind_recorded(const char *name, enum cfi_end *ret_end)
{
	struct {
		uint64_t ip, sp, bp, stack_gva, code_gva, code_bytes;
		uint32_t n_rows;
		uint8_t exact, unused[3];
	} head;
	struct cfi_regs regs;
	struct program p = {};
	struct cfi_stack stack;
	_free_ char *bytes = NULL;
	uint64_t frames[64];
	char path[512];
	size_t n, used;

	snprintf(path, sizeof(path), "%s/../fuzz/corpus/cfi/%s", TESTS_UNIT_DIR, name);
	CHECK_EQ(io_read_file(AT_FDCWD, path, 65536, &bytes, &n), 0);
	memcpy(&head, bytes, sizeof(head));
	CHECK_EQ(head.code_gva, 0x400000);
	used = sizeof(head) + head.n_rows * sizeof(struct cfi_row);
	p.table = (struct cfi_table){(struct cfi_row *)(bytes + sizeof(head)), head.n_rows};
	stack = (struct cfi_stack){head.stack_gva, n - used, (const uint8_t *)bytes + used};
	regs = (struct cfi_regs){.ip = head.ip, .sp = head.sp, .bp = head.bp, .exact = true};
	*ret_end = cfi_unwind(&(struct cfi_code){find_recorded, &p}, &stack, &regs, frames, 64, &n);
	return n;
}

TEST(recorded_stacks_are_unwound_to_where_the_program_began)
{
	enum cfi_end end;

	/* spin, eight times descend, descend_outer, main, two of the library, _start: tests/lab/node/lean.c */
	CHECK_EQ(unwind_recorded("recursion", &end), 13);
	CHECK_EQ(end, CFI_END_OUTERMOST);
	CHECK_EQ(unwind_recorded("library-calls-back", &end), 14);
	CHECK_EQ(end, CFI_END_OUTERMOST);
	CHECK_EQ(unwind_recorded("signal-handler", &end), 8);
	CHECK_EQ(end, CFI_END_OUTERMOST);
}

int main(void)
{
	return test_main();
}

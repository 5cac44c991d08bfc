/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dwarf.h>

#include "sym/cfi_program.h"
#include "test.h"

#define START 0x401000u
#define END   0x401100u

struct told {
	struct cfi_row rows[8];
	uint64_t at[8];
	size_t n;
};

static int take(uint64_t address, const struct cfi_row *row, void *data)
{
	struct told *told = data;

	CHECK(told->n < 8);
	told->at[told->n] = address;
	told->rows[told->n++] = *row;
	return 0;
}

/* The usual beginning: the return address is at the top of the stack. */
static struct cfi_cie new_cie(void)
{
	static const uint8_t program[] = {DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1, DW_CFA_nop, DW_CFA_nop};
	struct cfi_cie cie = {.code_factor = 1, .data_factor = -8};

	CHECK(cfi_program_begin(&cie, program, sizeof(program)));
	return cie;
}

#define RUN(cie, told, ...)                                                                        \
	CHECK_EQ(cfi_program_run(cie, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), START, END, take, \
				 told),                                                            \
		 0)

#define CHECK_ROW(told, i, address, how_, cfa_, bp_how_, bp_)                                      \
	do {                                                                                       \
		CHECK_EQ((told)->at[i], address);                                                  \
		CHECK_EQ((told)->rows[i].how, how_);                                               \
		CHECK_EQ((told)->rows[i].cfa, cfa_);                                               \
		CHECK_EQ((told)->rows[i].bp_how, bp_how_);                                         \
		CHECK_EQ((told)->rows[i].bp, bp_);                                                 \
	} while (0)

TEST(a_function_with_a_frame_pointer_has_four_rows)
{
	struct cfi_cie cie = new_cie();
	struct told told = {};

	RUN(&cie, &told, DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2, DW_CFA_advance_loc | 3,
	    DW_CFA_def_cfa_register, 6, DW_CFA_advance_loc1, 0x50, DW_CFA_def_cfa, 7, 8, DW_CFA_restore | 6);
	CHECK_EQ(told.n, 4);
	CHECK_ROW(&told, 0, START, CFI_SP, 8, CFI_BP_SAME, 0);
	CHECK_ROW(&told, 1, START + 1, CFI_SP, 16, CFI_BP_SAVED, -16);
	CHECK_ROW(&told, 2, START + 4, CFI_BP, 16, CFI_BP_SAVED, -16);
	CHECK_ROW(&told, 3, START + 0x54, CFI_SP, 8, CFI_BP_SAME, 0);
}

TEST(what_was_remembered_holds_again)
{
	struct cfi_cie cie = new_cie();
	struct told told = {};

	RUN(&cie, &told, DW_CFA_def_cfa_offset, 0xa0, 0x01, DW_CFA_remember_state, DW_CFA_advance_loc2, 0x20, 0,
	    DW_CFA_def_cfa_offset, 8, DW_CFA_advance_loc | 1, DW_CFA_restore_state);
	CHECK_EQ(told.n, 3);
	CHECK_ROW(&told, 0, START, CFI_SP, 160, CFI_BP_SAME, 0);
	CHECK_ROW(&told, 1, START + 0x20, CFI_SP, 8, CFI_BP_SAME, 0);
	CHECK_ROW(&told, 2, START + 0x21, CFI_SP, 160, CFI_BP_SAME, 0);
}

TEST(expressions_that_compilers_and_linkers_write_are_known)
{
	struct cfi_cie cie = new_cie();
	struct told told = {};

	RUN(&cie, &told, DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref, DW_CFA_expression, 6, 2, DW_OP_breg6, 0,
	    DW_CFA_advance_loc | 8, DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and,
	    DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus, DW_CFA_same_value, 6, DW_CFA_advance_loc | 8,
	    DW_CFA_def_cfa_expression, 1, DW_OP_lit0);
	CHECK_EQ(told.n, 3);
	CHECK_ROW(&told, 0, START, CFI_BP_WORD, -8, CFI_BP_HERE, 0);
	CHECK_ROW(&told, 1, START + 8, CFI_PLT, 11, CFI_BP_SAME, 0);
	CHECK_ROW(&told, 2, START + 16, CFI_UNKNOWN, 0, 0, 0);
}

TEST(the_end_of_a_handler_and_the_start_of_a_program_are_known)
{
	struct cfi_cie cie = new_cie();
	struct told told = {};

	RUN(&cie, &told, DW_CFA_undefined, 16);
	cie.is_signal = true;
	RUN(&cie, &told, DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0xa0, 1, DW_OP_deref, DW_CFA_expression, 16, 3, DW_OP_breg7, 0xa8, 1);
	CHECK_EQ(told.n, 2);
	CHECK_ROW(&told, 0, START, CFI_OUTERMOST, 0, 0, 0);
	CHECK_ROW(&told, 1, START, CFI_SIGNAL, 0, 0, 0);
}

TEST(what_rows_have_no_room_for_they_do_not_tell)
{
	struct cfi_cie cie = new_cie();
	struct told told = {};

	RUN(&cie, &told, DW_CFA_def_cfa, 10, 0, DW_CFA_advance_loc | 1, DW_CFA_def_cfa, 7, 16, DW_CFA_register, 6, 3,
	    DW_CFA_advance_loc | 1, DW_CFA_offset | 16, 2);
	CHECK_ROW(&told, 0, START, CFI_UNKNOWN, 0, 0, 0); /* by r10 */
	CHECK_ROW(&told, 1, START + 1, CFI_SP, 16, CFI_BP_LOST, 0);
	CHECK_ROW(&told, 2, START + 2, CFI_UNKNOWN, 0, 0, 0); /* a return address elsewhere */
}

TEST(a_program_that_is_none_tells_nothing_from_there_on)
{
	struct cfi_cie cie = new_cie();
	struct told told = {};
	uint8_t many[64];

	RUN(&cie, &told, DW_CFA_advance_loc | 5, DW_CFA_set_loc, 0, 0, 0, 0, 0, 0, 0, 0);
	RUN(&cie, &told, DW_CFA_offset_extended, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1);
	RUN(&cie, &told, DW_CFA_def_cfa_expression, 4, DW_OP_breg6, 0);
	RUN(&cie, &told, DW_CFA_restore_state);
	memset(many, DW_CFA_remember_state, sizeof(many));
	CHECK_EQ(cfi_program_run(&cie, many, sizeof(many), START, END, take, &told), 0);
	CHECK_EQ(told.n, 6);
	CHECK_ROW(&told, 0, START, CFI_SP, 8, CFI_BP_SAME, 0);
	CHECK_ROW(&told, 1, START + 5, CFI_UNKNOWN, 0, 0, 0);
	for (int i = 2; i < 6; i++)
		CHECK_ROW(&told, i, START, CFI_UNKNOWN, 0, 0, 0);
	CHECK(!cfi_program_begin(&cie, many, sizeof(many)));
	CHECK(!cfi_program_begin(&cie, (const uint8_t[]){DW_CFA_advance_loc | 1}, 1));
}

TEST(a_program_does_not_leave_its_function)
{
	struct cfi_cie cie = new_cie();
	struct told told = {};

	RUN(&cie, &told, DW_CFA_advance_loc4, 0, 1, 0, 0, DW_CFA_def_cfa_offset, 16);
	CHECK_EQ(told.n, 1);
	CHECK_ROW(&told, 0, START, CFI_SP, 8, CFI_BP_SAME, 0);
}

int main(void)
{
	return test_main();
}

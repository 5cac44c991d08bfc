/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dwarf.h>
#include <string.h>

#include "sym/cfi_program.h"
#include "util/cursor.h"
#include "util/macro.h"

/* DWARF's numbers of registers (System V ABI, x86-64, figure 3.36). */
#define REG_BP 6
#define REG_SP 7
#define REG_IP 16

/* Where the kernel puts a signal handler's caller: format/cfi.c. */
#define SIGNAL_SP 160
#define SIGNAL_IP 168

#define REMEMBERED 8 /* states; compilers write one */

struct run {
	const struct cfi_cie *cie;
	struct cursor c;
	struct cfi_state state, remembered[REMEMBERED];
	size_t n_remembered;
	bool failed;
};

/* ---- instructions ---- */

static uint64_t read_uleb(struct cursor *c)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cursor_u8(c);

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	c->failed = true;
	return 0;
}

static int64_t read_sleb(struct cursor *c)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cursor_u8(c);

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if (byte & 0x40 && shift + 7 < 64)
			value |= ~0ULL << (shift + 7);
		return (int64_t)value;
	}
	c->failed = true;
	return 0;
}

/* The rule for @reg; NULL = nobody asks for that register's. */
static struct cfi_rule *rule_of(struct cfi_state *state, uint64_t reg)
{
	return reg == REG_BP ? &state->bp : reg == REG_IP ? &state->ip : NULL;
}

static void set_rule(struct run *run, uint64_t reg, struct cfi_rule rule)
{
	struct cfi_rule *at = rule_of(&run->state, reg);

	if (at)
		*at = rule;
}

static void set_kind(struct run *run, uint64_t reg, enum cfi_rule_kind kind)
{
	set_rule(run, reg, (struct cfi_rule){.kind = kind});
}

/* What is no number of an int64_t is none of a stack, either. */
static int64_t factored(struct run *run, int64_t number)
{
	int64_t product = 0;

	run->failed |= __builtin_mul_overflow(number, run->cie->data_factor, &product);
	return product;
}

static void set_offset(struct run *run, uint64_t reg, int64_t number)
{
	set_rule(run, reg, (struct cfi_rule){.kind = CFI_RULE_OFFSET, .number = factored(run, number)});
}

static void restore(struct run *run, uint64_t reg)
{
	const struct cfi_rule *initial = rule_of((struct cfi_state *)&run->cie->initial, reg);

	if (initial)
		set_rule(run, reg, *initial);
}

static void set_cfa(struct run *run, uint64_t reg, int64_t number)
{
	run->state.cfa = (struct cfi_rule){.kind = CFI_RULE_REGISTER, .reg = (uint32_t)MIN(reg, (uint64_t)UINT32_MAX), .number = number};
}

static struct cfi_rule read_expression(struct run *run)
{
	uint64_t n = read_uleb(&run->c);

	return (struct cfi_rule){.kind = CFI_RULE_EXPRESSION, .expression = cursor_bytes(&run->c, n), .n_expression = (size_t)n};
}

static void remember(struct run *run)
{
	if (run->n_remembered < REMEMBERED)
		run->remembered[run->n_remembered++] = run->state;
	else
		run->failed = true;
}

static void recall(struct run *run)
{
	if (run->n_remembered)
		run->state = run->remembered[--run->n_remembered];
	else
		run->failed = true;
}

/* One that tells of the CFA; false if it does not. */
static bool run_cfa(struct run *run, uint8_t opcode)
{
	struct cursor *c = &run->c;
	uint64_t reg;

	switch (opcode) {
	case DW_CFA_def_cfa:
		reg = read_uleb(c);
		set_cfa(run, reg, (int64_t)read_uleb(c));
		return true;
	case DW_CFA_def_cfa_sf:
		reg = read_uleb(c);
		set_cfa(run, reg, factored(run, read_sleb(c)));
		return true;
	case DW_CFA_def_cfa_register:
		run->failed |= run->state.cfa.kind != CFI_RULE_REGISTER;
		set_cfa(run, read_uleb(c), run->state.cfa.number);
		return true;
	case DW_CFA_def_cfa_offset:
		run->failed |= run->state.cfa.kind != CFI_RULE_REGISTER;
		run->state.cfa.number = (int64_t)read_uleb(c);
		return true;
	case DW_CFA_def_cfa_offset_sf:
		run->failed |= run->state.cfa.kind != CFI_RULE_REGISTER;
		run->state.cfa.number = factored(run, read_sleb(c));
		return true;
	case DW_CFA_def_cfa_expression:
		run->state.cfa = read_expression(run);
		return true;
	default:
		return false;
	}
}

/* One that tells of another register, or of all. */
static void run_register(struct run *run, uint8_t opcode)
{
	struct cursor *c = &run->c;
	uint64_t reg = 0;

	switch (opcode) {
	case DW_CFA_nop:
		return;
	case DW_CFA_remember_state:
		remember(run);
		return;
	case DW_CFA_restore_state:
		recall(run);
		return;
	case DW_CFA_GNU_args_size:
		(void)read_uleb(c);
		return;
	default:
		reg = read_uleb(c);
	}
	switch (opcode) {
	case DW_CFA_restore_extended:
		restore(run, reg);
		return;
	case DW_CFA_undefined:
		set_kind(run, reg, CFI_RULE_UNDEFINED);
		return;
	case DW_CFA_same_value:
		set_kind(run, reg, CFI_RULE_SAME);
		return;
	case DW_CFA_offset_extended:
		set_offset(run, reg, (int64_t)read_uleb(c));
		return;
	case DW_CFA_offset_extended_sf:
		set_offset(run, reg, read_sleb(c));
		return;
	case DW_CFA_expression:
		set_rule(run, reg, read_expression(run));
		return;
	case DW_CFA_val_expression:
		(void)read_expression(run);
		set_kind(run, reg, CFI_RULE_OTHER);
		return;
	case DW_CFA_register:
	case DW_CFA_val_offset:
	case DW_CFA_val_offset_sf:
		(void)read_uleb(c); /* as long as a signed one */
		set_kind(run, reg, CFI_RULE_OTHER);
		return;
	default:
		run->failed = true;
	}
}

/* How far it moves on; 0 = it does not. */
static uint64_t run_one(struct run *run)
{
	uint8_t opcode = cursor_u8(&run->c), low = opcode & 0x3f;

	switch (opcode & 0xc0) {
	case DW_CFA_advance_loc:
		return low;
	case DW_CFA_offset:
		set_offset(run, low, (int64_t)read_uleb(&run->c));
		return 0;
	case DW_CFA_restore:
		restore(run, low);
		return 0;
	}
	switch (opcode) {
	case DW_CFA_advance_loc1:
		return cursor_u8(&run->c);
	case DW_CFA_advance_loc2:
		return cursor_u16(&run->c);
	case DW_CFA_advance_loc4:
		return cursor_u32(&run->c);
	}
	if (!run_cfa(run, opcode))
		run_register(run, opcode);
	return 0;
}

/* ---- rows ---- */

/* "reg + number", and what is behind it. false: it is something else. */
static bool take_breg(struct cursor *c, uint32_t *ret_reg, int64_t *ret_number)
{
	uint8_t op = cursor_u8(c);

	if (op < DW_OP_breg0 || op > DW_OP_breg31)
		return false;
	*ret_reg = op - DW_OP_breg0;
	*ret_number = read_sleb(c);
	return !c->failed;
}

/* The whole of @rule's expression is that. */
static bool is_breg(const struct cfi_rule *rule, uint32_t reg, int64_t *ret_number)
{
	struct cursor c;
	uint32_t its_reg;

	if (rule->kind != CFI_RULE_EXPRESSION)
		return false;
	c = cursor_of(rule->expression, rule->n_expression);
	return take_breg(&c, &its_reg, ret_number) && its_reg == reg && !cursor_left(&c);
}

/* rsp + 8 + (((rip & 15) >= N) << 3): what linkers write for the pieces that call into other files. */
static bool is_plt(const struct cfi_rule *cfa, struct cfi_row *row)
{
	static const uint8_t usual[] = {DW_OP_breg7, 8,	       DW_OP_breg16, 0,	       DW_OP_lit15, DW_OP_and,
					DW_OP_lit0,  DW_OP_ge, DW_OP_lit3,   DW_OP_shl, DW_OP_plus};
	uint8_t number;

	if (cfa->n_expression != sizeof(usual) || memcmp(cfa->expression, usual, 6) != 0 ||
	    memcmp(cfa->expression + 7, usual + 7, sizeof(usual) - 7) != 0)
		return false;
	number = (uint8_t)(cfa->expression[6] - DW_OP_lit0);
	if (number > 15)
		return false;
	row->how = CFI_PLT;
	row->cfa = number;
	return true;
}

static void describe_cfa(const struct cfi_rule *cfa, struct cfi_row *row)
{
	bool word = cfa->kind == CFI_RULE_EXPRESSION;
	uint32_t reg = cfa->reg;
	int64_t number = cfa->number;

	if (word) {
		struct cursor c = cursor_of(cfa->expression, cfa->n_expression);

		if (is_plt(cfa, row) || !take_breg(&c, &reg, &number) || cursor_u8(&c) != DW_OP_deref || cursor_left(&c))
			return;
	} else if (cfa->kind != CFI_RULE_REGISTER) {
		return;
	}
	if ((reg != REG_SP && reg != REG_BP) || number < INT32_MIN || number > INT32_MAX)
		return;
	row->cfa = (int32_t)number;
	if (reg == REG_SP)
		row->how = word ? CFI_SP_WORD : CFI_SP;
	else
		row->how = word ? CFI_BP_WORD : CFI_BP;
}

static void describe_bp(const struct cfi_rule *bp, struct cfi_row *row)
{
	int64_t number = bp->number;

	row->bp_how = CFI_BP_LOST;
	if (bp->kind == CFI_RULE_SAME)
		row->bp_how = CFI_BP_SAME;
	else if (bp->kind == CFI_RULE_OFFSET)
		row->bp_how = CFI_BP_SAVED;
	else if (is_breg(bp, REG_BP, &number))
		row->bp_how = CFI_BP_HERE;
	if (row->bp_how != CFI_BP_SAVED && row->bp_how != CFI_BP_HERE)
		return;
	if (number < INT16_MIN || number > INT16_MAX)
		row->bp_how = CFI_BP_LOST;
	else
		row->bp = (int16_t)number;
}

/* What the return address makes of the row. */
static void describe_return(const struct cfi_rule *ip, bool is_signal, struct cfi_row *row)
{
	int64_t number;

	if (ip->kind == CFI_RULE_UNDEFINED) {
		row->how = CFI_OUTERMOST;
		return;
	}
	if (ip->kind == CFI_RULE_OFFSET && ip->number == -8 && !is_signal)
		return;
	if (is_signal && row->how == CFI_SP_WORD && row->cfa == SIGNAL_SP && is_breg(ip, REG_SP, &number) && number == SIGNAL_IP)
		row->how = CFI_SIGNAL;
	else
		row->how = CFI_UNKNOWN;
}

static struct cfi_row row_of(const struct run *run)
{
	struct cfi_row row = {};

	describe_cfa(&run->state.cfa, &row);
	describe_bp(&run->state.bp, &row);
	describe_return(&run->state.ip, run->cie->is_signal, &row);
	if (row.how == CFI_UNKNOWN || row.how == CFI_OUTERMOST || row.how == CFI_SIGNAL)
		row = (struct cfi_row){.how = row.how};
	return row;
}

/* ---- programs ---- */

bool cfi_program_begin(struct cfi_cie *cie, const uint8_t *bytes, size_t n)
{
	struct run run = {.cie = cie, .c = cursor_of(bytes, n)};

	cie->initial = (struct cfi_state){.cfa.kind = CFI_RULE_OTHER, .ip.kind = CFI_RULE_OTHER};
	run.state = cie->initial;
	while (cursor_left(&run.c))
		run.failed |= run_one(&run) != 0;
	if (run.failed || run.c.failed)
		return false;
	cie->initial = run.state;
	return true;
}

int cfi_program_run(const struct cfi_cie *cie, const uint8_t *bytes, size_t n, uint64_t start, uint64_t end,
		    int (*fn)(uint64_t address, const struct cfi_row *row, void *data), void *data)
{
	struct run run = {.cie = cie, .c = cursor_of(bytes, n), .state = cie->initial};
	uint64_t at = start;
	struct cfi_row last;
	int r = 0;

	while (cursor_left(&run.c) && r == 0) {
		uint64_t step = run_one(&run), next;
		struct cfi_row row;

		if (run.failed || run.c.failed)
			return fn(at, &(struct cfi_row){}, data);
		if (!step)
			continue;
		if (__builtin_mul_overflow(step, cie->code_factor, &step) || __builtin_add_overflow(at, step, &next) || next >= end)
			break;
		row = row_of(&run);
		r = fn(at, &row, data);
		at = next;
	}
	if (r)
		return r;
	last = row_of(&run);
	return fn(at, &last, data);
}

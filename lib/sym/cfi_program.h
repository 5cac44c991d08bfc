/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs call frame instructions (DWARF 5, 6.4.2) and makes rows (format/cfi.h) of them. Each function has a program, which begins in the
 * state that the program of its CIE (what many functions have in common) ends in. An instruction changes the rule for one register or for the
 * CFA, or moves on to a later address: what held until there is a row.
 *
 * libdw runs them too, but looks for them through an index of the file's, and makes room for any register that one names, 16 bytes
 * for each below it: five bytes of a file can have it take 64 GiB (elfutils 0.188). Here nothing is kept but what rows are made of.
 */
#ifndef SYM_CFI_PROGRAM_H
#define SYM_CFI_PROGRAM_H

#include "format/cfi.h"

enum cfi_rule_kind {
	CFI_RULE_SAME = 0,   /* as in the caller */
	CFI_RULE_UNDEFINED,  /* lost; for a return address: there is no caller */
	CFI_RULE_OFFSET,     /* at the CFA + number */
	CFI_RULE_EXPRESSION, /* at, or for the CFA: is, what an expression says */
	CFI_RULE_REGISTER,   /* for the CFA: a register + number */
	CFI_RULE_OTHER,	     /* in a way that no row has */
};

struct cfi_rule {
	enum cfi_rule_kind kind;
	uint32_t reg;
	int64_t number;
	const uint8_t *expression; /* in the file's bytes */
	size_t n_expression;
};

struct cfi_state {
	struct cfi_rule cfa, bp, ip;
};

struct cfi_cie {
	uint64_t code_factor;
	int64_t data_factor;
	bool is_signal; /* it is where signal handlers return to */
	struct cfi_state initial;
};

/* Runs the program of a CIE, whose factors are set, and sets @initial. false: it is not one that compilers write. */
bool cfi_program_begin(struct cfi_cie *cie, const uint8_t *bytes, size_t n);

/*
 * Calls @fn for each stretch of the function from @start to @end, by rising address; what its program does not tell, or in a way that is not
 * known, has the row that says so. Stops when @fn returns non-zero, and returns that.
 */
int cfi_program_run(const struct cfi_cie *cie, const uint8_t *bytes, size_t n, uint64_t start, uint64_t end,
		    int (*fn)(uint64_t address, const struct cfi_row *row, void *data), void *data);

#endif

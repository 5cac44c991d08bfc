/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows and a program's stack, all made up: a head with registers, then the rows, then what was copied of the stack. */
#include "format/cfi.h"
#include "fuzz.h"

#define FRAMES 126

struct head {
	uint64_t ip, sp, bp, stack_gva;
	uint64_t code_gva, code_bytes;
	uint32_t n_rows;
	uint8_t exact, unused[3];
};

struct program {
	struct head head;
	struct cfi_table table;
};

static bool find(uint64_t ip, const struct cfi_row **ret_row, void *data)
{
	const struct program *program = data;

	if (ip - program->head.code_gva >= program->head.code_bytes)
		return false;
	*ret_row = cfi_table_find(&program->table, ip - program->head.code_gva);
	return true;
}

static bool rise(const struct cfi_table *table)
{
	for (size_t i = 1; i < table->n; i++)
		if (table->rows[i].at < table->rows[i - 1].at)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program program;
	const struct cfi_code code = {find, &program};
	struct cfi_stack stack;
	struct cfi_regs regs;
	uint64_t frames[FRAMES];
	size_t n, n_bytes, n_stack;
	enum cfi_end end;
	void *words;

	if (size < sizeof(program.head))
		return 0;
	memcpy(&program.head, data, sizeof(program.head));
	data += sizeof(program.head);
	size -= sizeof(program.head);
	if (program.head.n_rows > size / sizeof(struct cfi_row))
		return 0;
	n_bytes = program.head.n_rows * sizeof(struct cfi_row);
	program.table = (struct cfi_table){exact_copy(data, n_bytes), program.head.n_rows};
	n_stack = size - n_bytes;
	words = exact_copy(data + n_bytes, n_stack);
	if (rise(&program.table)) {
		stack = (struct cfi_stack){program.head.stack_gva, n_stack, words};
		regs = (struct cfi_regs){
			.ip = program.head.ip, .sp = program.head.sp, .bp = program.head.bp, .exact = program.head.exact & 1};
		end = cfi_unwind(&code, &stack, &regs, frames, FRAMES, &n);
		HOLDS(n <= FRAMES && end <= CFI_END_BAD_RETURN);
		HOLDS(end != CFI_END_NONE || n == FRAMES);
		touch(frames, n * sizeof(*frames));
		/* Callers are code. */
		for (size_t i = 0; i < n; i++)
			HOLDS(frames[i] - program.head.code_gva <= program.head.code_bytes);
	}
	cfi_table_deinit(&program.table);
	free(words);
	return 0;
}

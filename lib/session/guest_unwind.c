/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <vpmu/sample.h>

#include "session/guest_unwind.h"
#include "util/macro.h"

#define ROOM (VPMU_BPF_MAX_ADDRESSES - 1u) /* the sampled address has one */

/* The program's frames, as far as there is room. */
static void add_frames(const struct vpmu_bpf_sample *sample, size_t room, struct guest_chain *chain)
{
	size_t n = MIN((size_t)sample->n_frames, ROOM);

	memcpy(chain->words + chain->n, sample->frames, MIN(n, room) * sizeof(*chain->words));
	chain->n += MIN(n, room);
	chain->end = n > room ? VPMU_CHAIN_DEPTH : sample->end;
}

static bool find_code(uint64_t ip, const struct cfi_row **ret_row, void *data)
{
	const struct guest_code *code = data;

	return symbolizer_guest_code(code->symbolizer, code->space, ip, ret_row) != SYMBOLIZER_CODE_NONE;
}

static struct cfi_stack user_slice(const struct vpmu_bpf_record *record)
{
	const uint8_t *bytes = (const uint8_t *)(record + 1);
	uint32_t last = record->stack.n_slices - 1;

	for (uint32_t i = 0; i < last; i++)
		bytes += record->stack.slices[i].n_bytes;
	return (struct cfi_stack){record->stack.slices[last].gva, record->stack.slices[last].n_bytes, bytes};
}

static uint8_t user_end_of(enum cfi_end end, const struct vpmu_bpf_stack *stack)
{
	switch (end) {
	case CFI_END_OUTERMOST:
		return VPMU_CHAIN_COMPLETE;
	case CFI_END_NONE:
		return VPMU_CHAIN_DEPTH;
	case CFI_END_NO_STACK:
		return stack->user_end != VPMU_BPF_END_COMPLETE && stack->user_end < VPMU_BPF_END_COUNT ? stack->user_end :
													VPMU_CHAIN_NO_STACK;
	case CFI_END_BAD_FRAME:
		return VPMU_CHAIN_BAD_FRAME;
	case CFI_END_BAD_RETURN:
		return VPMU_CHAIN_BAD_RETURN;
	default:
		return VPMU_CHAIN_NO_UNWIND;
	}
}

static void add_by_tables(const struct vpmu_bpf_record *record, const struct guest_code *guest_code, size_t room, struct guest_chain *chain)
{
	const struct cfi_code code = {find_code, (void *)guest_code};
	struct cfi_regs regs;
	struct cfi_stack stack;
	const struct cfi_row *row = NULL;
	enum cfi_end end;
	size_t n;

	stack = user_slice(record);
	regs = (struct cfi_regs){.ip = record->stack.user_ip, .sp = record->stack.user_sp, .bp = record->stack.user_bp};
	/* A system call may be the last instruction of its function, as a call may: the return from signal handlers is. */
	regs.exact = record->sample.user || (find_code(regs.ip, &row, code.data) && row);
	end = cfi_unwind(&code, &stack, &regs, chain->words + chain->n, room, &n);
	chain->n += n;
	chain->end = user_end_of(end, &record->stack);
}

/*
 * The callers of where user mode was left, up to @room of them. A file that is not at hand, and code that is no file's, may have frame pointers.
 * Of what is not known to be mapped yet nothing can be said: it may be a file that is at hand.
 */
static void add_callers(const struct vpmu_bpf_record *record, const struct guest_code *code, size_t room, struct guest_chain *chain)
{
	enum symbolizer_code what = SYMBOLIZER_CODE_MAPPED;
	const struct cfi_row *row;

	if (code && record->stack.has_user)
		what = symbolizer_guest_code(code->symbolizer, code->space, record->stack.user_ip, &row);
	if (what == SYMBOLIZER_CODE_HAS_CFI)
		add_by_tables(record, code, room, chain);
	else if (what == SYMBOLIZER_CODE_MAPPED)
		add_frames(&record->sample, room, chain);
	else
		chain->end = VPMU_CHAIN_NO_UNWIND;
}

static void take_slices(const struct vpmu_bpf_record *record, struct orc_stack *ret)
{
	const uint8_t *bytes = (const uint8_t *)(record + 1);

	*ret = (struct orc_stack){.n_slices = MIN(record->stack.n_slices, VPMU_BPF_SLICES) - record->stack.has_user};
	for (size_t i = 0; i < ret->n_slices; i++) {
		ret->slices[i] = (struct orc_slice){record->stack.slices[i].gva, record->stack.slices[i].n_bytes, bytes};
		bytes += record->stack.slices[i].n_bytes;
	}
}

static uint8_t end_of(enum orc_end end, const struct vpmu_bpf_stack *stack)
{
	switch (end) {
	case ORC_END_OUTERMOST:
	case ORC_END_USER:
		return VPMU_CHAIN_COMPLETE;
	case ORC_END_NONE:
		return VPMU_CHAIN_DEPTH;
	case ORC_END_NO_STACK:
		return stack->end != VPMU_BPF_END_COMPLETE && stack->end < VPMU_BPF_END_COUNT ? stack->end : VPMU_CHAIN_NO_STACK;
	case ORC_END_BAD_FRAME:
		return VPMU_CHAIN_BAD_FRAME;
	default:
		return VPMU_CHAIN_NO_UNWIND;
	}
}

/* The program looked for user mode's registers at the top of the stack; they count if that is where the way led. */
static void add_user(const struct vpmu_bpf_record *record, const struct guest_code *code, uint64_t ip, struct guest_chain *chain)
{
	size_t addresses = chain->n;

	if (addresses >= ROOM) {
		chain->end = VPMU_CHAIN_DEPTH;
		return;
	}
	chain->words[chain->n++] = VPMU_CONTEXT_USER;
	chain->words[chain->n++] = ip;
	if (ip == record->stack.user_ip)
		add_callers(record, code, ROOM - addresses - 1, chain);
	else
		chain->end = VPMU_CHAIN_NO_STACK;
}

void guest_unwind(struct kernel_orc *orc, const struct guest_code *code, const struct vpmu_bpf_sample *sample, struct guest_chain *ret)
{
	const struct vpmu_bpf_record *record = (const struct vpmu_bpf_record *)sample;
	struct orc_stack stack;
	struct orc_regs regs;
	enum orc_end end;

	ret->n = 0;
	if (!sample->has_stack) {
		add_frames(sample, ROOM, ret);
		return;
	}
	if (sample->user) {
		add_callers(record, code, ROOM, ret);
		return;
	}
	ret->end = VPMU_CHAIN_NO_UNWIND;
	if (!orc)
		return;
	take_slices(record, &stack);
	regs = (struct orc_regs){
		.ip = sample->ip,
		.sp = record->stack.sp,
		.bp = record->stack.bp,
		.ax = record->stack.ax,
		.dx = record->stack.dx,
		.di = record->stack.di,
		.r10 = record->stack.r10,
		.r13 = record->stack.r13,
		.has_others = true,
		.exact = true,
	};
	end = orc_unwind(kernel_orc_view(orc), &stack, &regs, ret->words, ROOM, &ret->n);
	ret->end = end_of(end, &record->stack);
	if (end == ORC_END_USER)
		add_user(record, code, regs.ip, ret);
}

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

static void take_slices(const struct vpmu_bpf_record *record, struct orc_stack *ret)
{
	const uint8_t *bytes = (const uint8_t *)(record + 1);

	*ret = (struct orc_stack){.n_slices = MIN(record->stack.n_slices, VPMU_BPF_SLICES)};
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
static void add_user(const struct vpmu_bpf_record *record, uint64_t ip, struct guest_chain *chain)
{
	size_t addresses = chain->n;

	if (addresses >= ROOM) {
		chain->end = VPMU_CHAIN_DEPTH;
		return;
	}
	chain->words[chain->n++] = VPMU_CONTEXT_USER;
	chain->words[chain->n++] = ip;
	if (ip == record->stack.user_ip)
		add_frames(&record->sample, ROOM - addresses - 1, chain);
	else
		chain->end = VPMU_CHAIN_NO_STACK;
}

void guest_unwind(struct kernel_orc *orc, const struct vpmu_bpf_sample *sample, struct guest_chain *ret)
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
		add_user(record, regs.ip, ret);
}

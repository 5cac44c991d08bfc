/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk along a guest's frames (bpf/guest_walk.h) and the copy of its kernel's stack (bpf/guest_stack.h) on guest memory that is all made
 * up: a head with the registers, and behind it the RAM, page tables included.
 */
#include "bpf/guest_ram.h"
#include "bpf/guest_stack.h"
#include "fuzz.h"

struct head {
	uint64_t cr3, bp, absent_gpa, ip;
	uint8_t lower, five_levels, words_on_stack, reserved[5]; /* no words: the stack pointer is not known */
};

/* Bits of the same head stand for what is known of the kernel. */
static void copy_stack(struct guest_walk *walk, const struct head *head)
{
	struct vpmu_bpf_guest guest = {
		.kernel_cr3 = head->cr3,
		.levels = head->five_levels & 2 ? 5 : 4,
		.stack_bytes = VPMU_BPF_STACK_BYTES,
		.stack_offset = (__u32)head->absent_gpa,
		.hardirq_offset = head->ip,
		.irq_top_bytes = head->five_levels & 4 ? 8 : 0,
		.stack_padding_bytes = head->five_levels & 8 ? 16 : 0,
		.user_stack_bytes = 8192,
		.pgd_offset = head->lower,
	};
	struct vpmu_bpf_stack stack = {.sp = head->bp, .user_sp = head->ip};
	uint8_t *bytes = malloc(GUEST_STACK_BYTES);
	struct guest_stack_copy copy;
	uint64_t all = 0;
	uint32_t n;

	HOLDS(bytes);
	walk->sample.task.gva = head->ip;
	walk->sample.task.mm_gva = 1;
	walk->memory.reads = 0;
	n = guest_copy_stack(walk, &guest, &stack, &copy, bytes);
	HOLDS(n <= GUEST_STACK_BYTES && stack.n_slices <= VPMU_BPF_SLICES);
	for (uint32_t i = 0; i < stack.n_slices; i++)
		all += stack.slices[i].n_bytes;
	HOLDS(all == n);
	HOLDS(walk->memory.reads <= GUEST_STACK_STEPS * 6);
	if (guest_user_registers(walk, &guest, &stack, bytes, n))
		(void)guest_in_own_space(walk, &guest, head->cr3);
	n = guest_copy_user_stack(walk, &guest, &stack, &copy, bytes, n);
	HOLDS(n <= GUEST_STACK_BYTES && stack.slices[stack.n_slices - 1].n_bytes <= n);
	touch(bytes, n);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_walk walk = {};
	struct head head;

	if (size < sizeof(head))
		return 0;
	memcpy(&head, data, sizeof(head));
	walk.memory = (struct guest_memory){
		.ram = exact_copy(data + sizeof(head), size - sizeof(head)),
		.ram_bytes = size - sizeof(head),
		.absent_gpa = head.absent_gpa,
	};
	walk.cr3 = head.cr3;
	walk.bp = head.bp;
	walk.levels = head.five_levels & 1 ? 5 : 4;
	walk.sample.ip = walk.ip = head.ip;
	walk.sp = head.words_on_stack ? head.bp - head.words_on_stack * 8ULL : 0;
	walk.upper = !(head.lower & 1);
	guest_walk_frames(&walk);

	HOLDS(walk.sample.n_frames <= VPMU_BPF_MAX_ADDRESSES - 1);
	HOLDS(walk.sample.end < VPMU_BPF_END_COUNT);
	HOLDS(walk.memory.reads <= (VPMU_BPF_MAX_ADDRESSES + 3) * 12);
	for (unsigned int i = 0; i < walk.sample.n_frames; i++)
		HOLDS(guest_own_half(&walk, walk.sample.frames[i]));
	/* The task: bits of the same head stand for what is known of the kernel. */
	walk.cpu_base = head.ip;
	guest_walk_task(&walk, &(struct vpmu_bpf_guest){
					.kernel_cr3 = head.cr3,
					.levels = head.five_levels & 2 ? 5 : 4,
					.current_offset = head.bp,
					.pid_offset = (__u32)head.absent_gpa,
					.comm_offset = (__u32)(head.bp >> 32),
					.mm_offset = (__u32)(head.ip >> 16),
				});
	HOLDS(walk.memory.reads <= (VPMU_BPF_MAX_ADDRESSES + 8) * 12);
	copy_stack(&walk, &head);
	free(walk.memory.ram);
	return 0;
}

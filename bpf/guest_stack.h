/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copies what is in use of a guest's stacks, for user space to unwind: most kernels keep no frame pointers (lib/format/orc.h).
 * Like guest_walk.h, whose page walk it uses, this is compiled into a BPF program and, as ordinary C, into tests.
 *
 * A task enters the kernel with an empty stack of its own, 16 KiB that end at an address that is known: task->stack + its size. At the
 * top are the registers with which user mode was left (struct pt_regs). An interrupt goes on to another stack, one for each CPU, with the
 * interrupted stack pointer in its topmost word: hardirq_stack_ptr points at that word since Linux 5.12 (951c2a51ae75), behind it
 * before. So what is in use are one or two pieces: from the stack pointer to the top, and, if that was the interrupts' stack, from the word at
 * its top to that of the task's.
 *
 * NMIs, debug exceptions, machine checks and double faults that hit the kernel come on stacks of their own, which the processor is told of
 * (IST). They lie in one piece of the CPU's entry area, struct cea_exception_stacks, each between pages that are not mapped: that is how
 * a stack's top is found, whatever their number and sizes, which differ between versions. At the top is what the processor pushed (Intel SDM
 * vol. 3, "IA-32e mode stack frame"): SS, and below it the interrupted stack pointer, which is on any of the others.
 *
 * What is on none of these stacks (a few instructions of entry code, before it has switched to one) has no chain.
 *
 * Of a program's stack nobody knows the end; a piece of it is copied that most chains fit into (lib/format/cfi.h).
 */
#ifndef GUEST_STACK_H
#define GUEST_STACK_H

#include "guest_walk.h"

/*
 * A whole stack and a part of another (a program has 32 KiB for each CPU, no more), and a page more so that any piece of a page fits behind
 * what is full by then.
 */
#define GUEST_STACK_ROOM  (VPMU_BPF_STACK_BYTES + GUEST_PAGE_SIZE)
#define GUEST_STACK_BYTES (GUEST_STACK_ROOM + GUEST_PAGE_SIZE)
/* Three words first, then each page of each stack; they need not begin at one. */
#define GUEST_STACK_STEPS (3 + VPMU_BPF_SLICES * (VPMU_BPF_STACK_BYTES / 4096 + 1))
/* Where the interrupted stack pointer is, from the top of an exception's stack. */
#define GUEST_STACK_PUSHED_SP 16

enum guest_stack_state {
	GUEST_STACK_TASK = 0, /* where the task's stack is */
	GUEST_STACK_IRQ = 1,  /* where the interrupts' is */
	GUEST_STACK_EXCEPTIONS = 2, /* where those of exceptions are */
	GUEST_STACK_COPY = 3,
};

/*
 * How far the copy is. Not on the program's stack, as the pointers are: until Linux 6.8 (ab5cfac139ab, "bpf: verify callbacks as if they are
 * called unknown number of times") the verifier looks at a loop's first turn only, takes what it knows of the stack then for what is there in
 * all others, and drops the code that seems to be never reached.
 */
struct guest_stack_copy {
	__u64 at, end;
	__u64 task_stack, irq_end, exceptions; /* 0 = not known */
	__u32 state, n;
	__u32 on_task_stack, on_exception_stack;
};

struct guest_stack_context {
	struct guest_walk *walk;
	const struct vpmu_bpf_guest *guest;
	struct vpmu_bpf_stack *stack;
	struct guest_stack_copy *copy;
	__u8 *bytes; /* GUEST_STACK_BYTES */
};

static inline __attribute__((always_inline)) int in_stack(__u64 sp, __u64 base, __u64 n_bytes)
{
	return sp - base < n_bytes;
}

/* Goes on at @sp. Returns 1 if that is on no stack. */
static inline __attribute__((always_inline)) long guest_stack_begin(const struct guest_stack_context *context, __u64 sp)
{
	struct guest_stack_copy *c = context->copy;
	struct vpmu_bpf_stack *stack = context->stack;
	__u64 size = context->guest->stack_bytes;

	c->on_task_stack = c->on_exception_stack = 0;
	if (in_stack(sp, c->task_stack, size)) {
		c->on_task_stack = 1;
		c->end = stack->task_top_gva;
	} else if (c->irq_end && in_stack(sp, c->irq_end - size, size)) {
		c->end = c->irq_end;
	} else if (c->exceptions && in_stack(sp, c->exceptions, context->guest->exceptions_bytes)) {
		c->on_exception_stack = 1;
		c->end = c->exceptions + context->guest->exceptions_bytes; /* or before: at what is not mapped */
	} else {
		return 1;
	}
	c->at = sp & ~7ULL;
	c->state = GUEST_STACK_COPY;
	if (stack->n_slices >= VPMU_BPF_SLICES)
		return 1;
	stack->slices[stack->n_slices & (VPMU_BPF_SLICES - 1)].gva = c->at;
	stack->n_slices++;
	return 0;
}

/* What comes after the word at c->at or, having copied a stack, where it was come from. Returns 1 when all is done. */
static inline __attribute__((always_inline)) long guest_stack_next(const struct guest_stack_context *context, __u64 word)
{
	const struct vpmu_bpf_guest *guest = context->guest;
	struct guest_stack_copy *c = context->copy;
	__u64 sp = context->stack->sp;

	if (c->state == GUEST_STACK_COPY)
		return c->on_task_stack || guest_stack_begin(context, word);
	if (c->state == GUEST_STACK_TASK) {
		c->task_stack = word;
		context->stack->task_top_gva = word + guest->stack_bytes;
	} else if (c->state == GUEST_STACK_IRQ) {
		c->irq_end = word + guest->irq_top_bytes;
	} else {
		c->exceptions = word;
	}
	if (!guest_stack_begin(context, sp))
		return 0;
	/* The next one, as far as they are known. */
	if (c->state == GUEST_STACK_TASK && guest->hardirq_offset) {
		c->at = context->walk->cpu_base + guest->hardirq_offset;
		c->state = GUEST_STACK_IRQ;
		return 0;
	}
	if (c->state >= GUEST_STACK_EXCEPTIONS || !guest->exceptions_offset)
		return 1;
	c->at = context->walk->cpu_base + guest->exceptions_offset;
	c->state = GUEST_STACK_EXCEPTIONS;
	return 0;
}

/* There is nothing at c->at, and @n bytes were copied: is that the top of an exception's stack? */
static inline __attribute__((always_inline)) int at_exceptions_top(const struct guest_stack_context *context, __u64 n)
{
	const struct guest_stack_copy *c = context->copy;
	const struct vpmu_bpf_stack *stack = context->stack;

	return c->state == GUEST_STACK_COPY && c->on_exception_stack && n >= GUEST_STACK_PUSHED_SP && n <= GUEST_STACK_ROOM &&
	       stack->slices[(stack->n_slices - 1) & (VPMU_BPF_SLICES - 1)].n_bytes >= GUEST_STACK_PUSHED_SP;
}

static long guest_stack_step(__u32 i, void *data)
{
	const struct guest_stack_context *context = data;
	struct guest_stack_copy *c = context->copy;
	struct vpmu_bpf_stack *stack = context->stack;
	struct guest_walk *w = context->walk;
	__u8 *bytes = context->bytes;
	__u64 left = GUEST_PAGE_SIZE - (c->at & (GUEST_PAGE_SIZE - 1)), word = 0, n = 8, at = c->n;
	int r;

	(void)i;
	if (c->state == GUEST_STACK_COPY)
		n = c->end - c->at < left ? c->end - c->at : left;
	r = guest_enter_page(w, c->at);
	/* So that the compiler does not take apart what the verifier must see together. */
	__asm__ volatile("" : "+r"(n), "+r"(at));
	if (n > GUEST_PAGE_SIZE || at > GUEST_STACK_ROOM || left < 8) {
		stack->end = VPMU_BPF_END_NO_STACK;
		return 1;
	}
	if (r == VPMU_BPF_END_NO_MAPPING && at_exceptions_top(context, at)) {
		__builtin_memcpy(&word, bytes + at - GUEST_STACK_PUSHED_SP, 8);
		return guest_stack_next(context, word);
	}
	if (!r && guest_copy(bytes + at, (__u32)n, guest_in_page(w, c->at)) < 0)
		r = VPMU_BPF_END_ABSENT;
	if (r) {
		stack->end = (__u8)r;
		return 1;
	}
	if (c->state != GUEST_STACK_COPY) {
		__builtin_memcpy(&word, bytes + at, 8);
		return guest_stack_next(context, word);
	}
	c->at += n;
	c->n = (__u32)(at + n);
	stack->slices[(stack->n_slices - 1) & (VPMU_BPF_SLICES - 1)].n_bytes += n;
	if (c->at < c->end)
		return 0;
	/* The topmost word. */
	if (n < 8 || at + n > GUEST_STACK_ROOM)
		return 1;
	__builtin_memcpy(&word, bytes + at + n - 8, 8);
	return guest_stack_next(context, word);
}

/*
 * Fills in @stack: slices, their number, and end, and @bytes with what is in them, one behind the other. To be set before: sp and
 * the registers of @stack; memory, cpu_base and task of @w. @copy is for its own use. Afterwards w->cr3 and w->levels are the kernel's. Returns how many bytes there are.
 */
static inline __attribute__((always_inline)) __u32 guest_copy_stack(struct guest_walk *w, const struct vpmu_bpf_guest *guest,
								    struct vpmu_bpf_stack *stack, struct guest_stack_copy *copy,
								    __u8 *bytes)
{
	struct guest_stack_context context = {
		.walk = w,
		.guest = guest,
		.stack = stack,
		.copy = copy,
		.bytes = bytes,
	};

	copy->at = w->sample.task.gva + guest->stack_offset;
	copy->state = GUEST_STACK_TASK;
	copy->n = 0;
	copy->task_stack = copy->irq_end = copy->exceptions = 0;
	copy->on_task_stack = copy->on_exception_stack = 0;
	w->page_hva = 0;
	w->cr3 = guest->kernel_cr3;
	w->levels = guest->levels;
	stack->n_slices = 0;
	stack->end = VPMU_BPF_END_COMPLETE;
	for (int i = 0; i < VPMU_BPF_SLICES; i++)
		stack->slices[i].n_bytes = 0;
	if (guest->stack_bytes && guest->stack_bytes <= VPMU_BPF_STACK_BYTES)
		guest_loop(GUEST_STACK_STEPS, guest_stack_step, &context);
	return copy->n;
}

/* struct pt_regs, arch/x86/include/asm/ptrace.h, from its end. */
#define PT_REGS_BYTES 168
#define PT_REGS_BP    32
#define PT_REGS_IP    128
#define PT_REGS_CS    136
#define PT_REGS_SP    152

/*
 * Whether @cr3 are the page tables of the task's process. For a moment they are not: a task that is about to leave the CPU is still the running one,
 * on its own stack, when the next one's are loaded (switch_mm_irqs_off() comes before switch_to()), and programs that were forked from one
 * another have their stacks at the same addresses. To be set before: memory, cr3, levels, and task of @w; its page tables are the kernel's.
 */
static inline __attribute__((always_inline)) int guest_in_own_space(struct guest_walk *w, const struct vpmu_bpf_guest *guest, __u64 cr3)
{
	__u64 pgd = 0;

	if (!guest->pgd_offset || guest_read_word(w, w->sample.task.mm_gva + guest->pgd_offset, &pgd) || guest_enter_page(w, pgd))
		return 0;
	return guest_hva(&w->memory, cr3 & PAGE_ADDRESS) == guest_in_page(w, pgd);
}

/*
 * Where user mode was left, if the task's stack was copied up to its top: sets user_ip, and ip, sp and bp of @w for the walk that goes on there.
 * @n: the bytes that there are. 0 = there is no such place.
 */
static inline __attribute__((always_inline)) int guest_user_registers(struct guest_walk *w, const struct vpmu_bpf_guest *guest,
								      struct vpmu_bpf_stack *stack, const __u8 *bytes, __u32 n)
{
	__u32 back = PT_REGS_BYTES + guest->stack_padding_bytes, at = n - back;
	__u64 cs;

	/* A kernel thread has never been in user mode. */
	if (!w->sample.task.mm_gva || stack->end != VPMU_BPF_END_COMPLETE || n < back || at > GUEST_STACK_ROOM - PT_REGS_BYTES)
		return 0;
	__builtin_memcpy(&cs, bytes + at + PT_REGS_CS, 8);
	if ((cs & 3) != 3)
		return 0;
	__builtin_memcpy(&stack->user_ip, bytes + at + PT_REGS_IP, 8);
	__builtin_memcpy(&stack->user_sp, bytes + at + PT_REGS_SP, 8);
	__builtin_memcpy(&stack->user_bp, bytes + at + PT_REGS_BP, 8);
	w->bp = stack->user_bp;
	w->sp = stack->user_sp;
	w->ip = stack->user_ip;
	return 1;
}

/*
 * Copies what user mode's stack pointer points to behind the @n bytes that are there, as far as it is mapped: most stacks end sooner. To be set before: user_sp
 * of @stack, and its slices. w->cr3 is the program's. Returns how many bytes there are.
 */
static inline __attribute__((always_inline)) __u32 guest_copy_user_stack(struct guest_walk *w, const struct vpmu_bpf_guest *guest,
									 struct vpmu_bpf_stack *stack,
									 struct guest_stack_copy *copy, __u8 *bytes, __u32 n)
{
	struct guest_stack_context context = {
		.walk = w,
		.guest = guest,
		.stack = stack,
		.copy = copy,
		.bytes = bytes,
	};
	__u32 slice = stack->n_slices;
	__u8 end = stack->end;

	if (slice >= VPMU_BPF_SLICES)
		return n;
	copy->at = stack->user_sp & ~7ULL;
	copy->end = copy->at + guest->user_stack_bytes;
	copy->state = GUEST_STACK_COPY;
	copy->on_task_stack = 1; /* nothing comes behind it */
	copy->on_exception_stack = 0;
	copy->n = n;
	w->page_hva = 0;
	stack->slices[slice & (VPMU_BPF_SLICES - 1)].gva = copy->at;
	stack->slices[slice & (VPMU_BPF_SLICES - 1)].n_bytes = 0;
	stack->n_slices = slice + 1;
	stack->has_user = 1;
	stack->end = VPMU_BPF_END_COMPLETE;
	guest_loop(GUEST_STACK_STEPS, guest_stack_step, &context);
	stack->user_end = stack->end;
	stack->end = end;
	return copy->n;
}

#endif

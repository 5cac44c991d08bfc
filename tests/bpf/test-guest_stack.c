/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bpf/guest_stack.h on made-up memory: which parts of which stacks are copied, and that whatever cannot be had leaves a reason and nothing
 * worse.
 */
#include "guest_pages.h"
#include "bpf/guest_stack.h"
#include "unit/test.h"

#define CPU_BASE  0xffff888000100000u
#define TASK	  0xffff888000300000u
#define STACK	  0xffffc90000010000u
#define IRQ_STACK 0xffffc90000200000u /* stacks that interrupts come on need not be aligned to their size */
#define SIZE	  16384u
#define EXCEPTIONS 0xfffffe0000002000u /* each stack of 8 KiB with a page before it that is not mapped; another one behind the last */
#define DB_TOP	   (EXCEPTIONS + PAGE(3))
#define NMI_TOP	   (EXCEPTIONS + PAGE(6))
#define TOP	  (STACK + SIZE)
#define USER	  0x7ffd0000e000u

static const struct vpmu_bpf_guest facts = {
	.kernel_cr3 = PAGE(1), .levels = 4, .stack_bytes = SIZE, .stack_offset = 0x20, .irq_top_bytes = 8, .hardirq_offset = 0x40,
	.exceptions_offset = 0x48, .exceptions_bytes = PAGE(7),
};

struct copy {
	struct guest_walk *walk;
	struct vpmu_bpf_stack stack;
	struct guest_stack_copy copy;
	uint8_t bytes[GUEST_STACK_BYTES];
	uint32_t n;
};

/* A process that was in user mode at 0x401000, with @sp on whichever stack; every word of a stack is its address but for those. */
static struct copy *new_copy(uint64_t sp)
{
	struct copy *c = calloc(1, sizeof(*c));
	struct guest_walk *w = c->walk = new_guest();

	map_page(w, CPU_BASE, PAGE(32), 12);
	map_page(w, TASK, PAGE(33), 12);
	for (unsigned int i = 0; i < SIZE / 4096; i++) {
		map_page(w, STACK + PAGE(i), PAGE(40 + i), 12);
		map_page(w, IRQ_STACK + PAGE(i), PAGE(50 + i), 12);
	}
	for (uint64_t at = 0; at < SIZE; at += 8) {
		put(w, PAGE(40) + at, STACK + at);
		put(w, PAGE(50) + at, IRQ_STACK + at);
	}
	for (unsigned int i = 0; i < 2; i++) {
		map_page(w, DB_TOP - PAGE(2 - i), PAGE(60 + i), 12);
		map_page(w, NMI_TOP - PAGE(2 - i), PAGE(62 + i), 12);
	}
	put(w, PAGE(32) + 0x48, EXCEPTIONS);
	put(w, PAGE(33) + 0x20, STACK);
	put(w, PAGE(32) + 0x40, IRQ_STACK + SIZE - 8);
	put(w, PAGE(44) - PT_REGS_BYTES + PT_REGS_IP, 0x401000);
	put(w, PAGE(44) - PT_REGS_BYTES + PT_REGS_CS, 0x33);
	put(w, PAGE(44) - PT_REGS_BYTES + PT_REGS_BP, 0x7ffd1000);
	put(w, PAGE(44) - PT_REGS_BYTES + PT_REGS_SP, USER + 4096 + 100);
	w->cpu_base = CPU_BASE;
	w->sample.task.gva = TASK;
	w->sample.task.mm_gva = TASK;
	c->stack.sp = sp;
	return c;
}

static void take(struct copy *c, const struct vpmu_bpf_guest *guest)
{
	c->n = guest_copy_stack(c->walk, guest, &c->stack, &c->copy, c->bytes);
}

static void free_copy(struct copy *c)
{
	free_guest(c->walk);
	free(c);
}

static uint64_t word(const struct copy *c, uint64_t at)
{
	uint64_t value;

	memcpy(&value, c->bytes + at, 8);
	return value;
}

#define CHECK_SLICE(c, i, from, n)                                                                 \
	do {                                                                                       \
		CHECK_EQ((c)->stack.slices[i].gva, from);                                          \
		CHECK_EQ((c)->stack.slices[i].n_bytes, n);                                         \
	} while (0)

TEST(a_tasks_stack_is_copied_from_the_stack_pointer_to_its_top)
{
	struct copy *c = new_copy(TOP - 5000);

	take(c, &facts);
	CHECK_EQ(c->stack.end, VPMU_BPF_END_COMPLETE);
	CHECK_EQ(c->stack.n_slices, 1);
	CHECK_SLICE(c, 0, TOP - 5000, 5000);
	CHECK_EQ(c->n, 5000);
	CHECK_EQ(word(c, 0), TOP - 5000);
	CHECK_EQ(word(c, 4992), TOP - 8);
	CHECK_EQ(c->stack.task_top_gva, TOP);
	free_copy(c);
}

TEST(a_full_stack_fits)
{
	struct copy *c = new_copy(STACK);

	take(c, &facts);
	CHECK_EQ(c->stack.end, VPMU_BPF_END_COMPLETE);
	CHECK_SLICE(c, 0, STACK, SIZE);
	CHECK_EQ(word(c, 0), STACK);
	free_copy(c);
}

TEST(from_the_interrupts_stack_the_task_that_was_interrupted_is_found)
{
	for (uint32_t words = 0; words <= 1; words++) {
		struct copy *c = new_copy(IRQ_STACK + SIZE - 256);
		struct vpmu_bpf_guest guest = facts;

		guest.irq_top_bytes = words ? 8 : 0;
		put(c->walk, PAGE(32) + 0x40, IRQ_STACK + SIZE - guest.irq_top_bytes);
		put(c->walk, PAGE(54) - 8, TOP - 1024);
		take(c, &guest);
		CHECK_EQ(c->stack.end, VPMU_BPF_END_COMPLETE);
		CHECK_EQ(c->stack.n_slices, 2);
		CHECK_SLICE(c, 0, IRQ_STACK + SIZE - 256, 256);
		CHECK_SLICE(c, 1, TOP - 1024, 1024);
		CHECK_EQ(word(c, 256), TOP - 1024);
		CHECK(guest_user_registers(c->walk, &guest, &c->stack, c->bytes, c->n));
		CHECK_EQ(c->stack.user_ip, 0x401000);
		free_copy(c);
	}
}

/* Its place from the top is where the processor puts the stack pointer. */
static void interrupt(struct copy *c, uint64_t memory_top, uint64_t sp)
{
	put(c->walk, memory_top - 16, sp);
}

TEST(an_nmi_is_followed_to_what_it_interrupted)
{
	static const uint64_t interrupted[] = {TOP - 1024, STACK, TOP - 8};

	for (size_t i = 0; i < sizeof(interrupted) / sizeof(*interrupted); i++) {
		struct copy *c = new_copy(NMI_TOP - 400);

		interrupt(c, PAGE(64), interrupted[i]);
		take(c, &facts);
		CHECK_EQ(c->stack.end, VPMU_BPF_END_COMPLETE);
		CHECK_EQ(c->stack.n_slices, 2);
		CHECK_SLICE(c, 0, NMI_TOP - 400, 400);
		CHECK_SLICE(c, 1, interrupted[i], TOP - interrupted[i]);
		CHECK_EQ(word(c, 384), interrupted[i]);
		CHECK_EQ(word(c, 400), interrupted[i]);
		free_copy(c);
	}
}

TEST(an_nmi_in_a_debug_exception_in_an_interrupt_takes_four_stacks)
{
	struct copy *c = new_copy(NMI_TOP - 4096 - 8);

	interrupt(c, PAGE(64), DB_TOP - 200);
	interrupt(c, PAGE(62), IRQ_STACK + SIZE - 256);
	put(c->walk, PAGE(54) - 8, TOP - 1024);
	take(c, &facts);
	CHECK_EQ(c->stack.end, VPMU_BPF_END_COMPLETE);
	CHECK_EQ(c->stack.n_slices, 4);
	CHECK_SLICE(c, 0, NMI_TOP - 4096 - 8, 4096 + 8);
	CHECK_SLICE(c, 1, DB_TOP - 200, 200);
	CHECK_SLICE(c, 2, IRQ_STACK + SIZE - 256, 256);
	CHECK_SLICE(c, 3, TOP - 1024, 1024);
	CHECK(guest_user_registers(c->walk, &facts, &c->stack, c->bytes, c->n));
	CHECK_EQ(c->stack.user_ip, 0x401000);
	free_copy(c);
}

TEST(exceptions_that_interrupt_each_other_in_a_circle_end)
{
	struct copy *c = new_copy(NMI_TOP - 64);

	interrupt(c, PAGE(64), DB_TOP - 64);
	interrupt(c, PAGE(62), NMI_TOP - 64);
	take(c, &facts);
	CHECK_EQ(c->stack.n_slices, 4);
	CHECK_EQ(c->n, 4 * 64);
	/* On into nothing: what is before the first stack, or one of its own pages that is not there. */
	interrupt(c, PAGE(64), EXCEPTIONS + 8);
	take(c, &facts);
	CHECK_EQ(c->stack.n_slices, 2);
	CHECK_EQ(c->stack.end, VPMU_BPF_END_NO_MAPPING);
	CHECK_EQ(c->n, 64);
	free_copy(c);
}

TEST(the_top_of_an_exceptions_stack_must_have_been_copied)
{
	struct copy *c = new_copy(NMI_TOP - 8);

	interrupt(c, PAGE(64), TOP - 1024);
	take(c, &facts);
	CHECK_EQ(c->stack.end, VPMU_BPF_END_NO_MAPPING);
	CHECK_EQ(c->stack.n_slices, 1);
	CHECK_EQ(c->n, 8);
	free_copy(c);
}

TEST(two_stacks_that_do_not_fit_are_cut)
{
	struct copy *c = new_copy(IRQ_STACK);

	put(c->walk, PAGE(54) - 8, STACK + 16);
	take(c, &facts);
	CHECK_EQ(c->stack.end, VPMU_BPF_END_NO_STACK);
	CHECK_SLICE(c, 0, IRQ_STACK, SIZE);
	CHECK(c->n <= GUEST_STACK_BYTES);
	CHECK(!guest_user_registers(c->walk, &facts, &c->stack, c->bytes, c->n));
	free_copy(c);
}

TEST(a_stack_that_nobody_knows_is_not_copied)
{
	static const uint64_t elsewhere[] = {0, 8, STACK - 8, TOP, IRQ_STACK - 8, IRQ_STACK + SIZE, UINT64_MAX};

	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++) {
		struct copy *c = new_copy(elsewhere[i]);

		take(c, &facts);
		CHECK_EQ(c->n, 0);
		CHECK_EQ(c->stack.n_slices, 0);
		free_copy(c);
	}
}

TEST(what_is_not_there_cuts_the_copy_with_its_reason)
{
	struct copy *c = new_copy(TOP - 5000);

	c->walk->memory.absent_gpa = PAGE(43);
	take(c, &facts);
	CHECK_EQ(c->stack.end, VPMU_BPF_END_ABSENT);
	CHECK_SLICE(c, 0, TOP - 5000, 5000 - 4096);
	CHECK(!guest_user_registers(c->walk, &facts, &c->stack, c->bytes, c->n));
	c->walk->memory.absent_gpa = PAGE(33);
	take(c, &facts);
	CHECK_EQ(c->n, 0);
	free_copy(c);
}

TEST(user_mode_goes_on_where_it_was_left)
{
	struct copy *c = new_copy(TOP - 512);
	struct vpmu_bpf_guest guest = facts;

	take(c, &guest);
	CHECK(guest_user_registers(c->walk, &guest, &c->stack, c->bytes, c->n));
	CHECK_EQ(c->stack.user_ip, 0x401000);
	CHECK_EQ(c->walk->bp, 0x7ffd1000);
	put(c->walk, PAGE(44) - PT_REGS_BYTES + PT_REGS_CS, 0x10); /* it was the kernel that was interrupted */
	take(c, &guest);
	CHECK(!guest_user_registers(c->walk, &guest, &c->stack, c->bytes, c->n));
	put(c->walk, PAGE(44) - PT_REGS_BYTES + PT_REGS_CS, 0x33);
	guest.stack_padding_bytes = 16; /* they lie lower */
	take(c, &guest);
	CHECK(!guest_user_registers(c->walk, &guest, &c->stack, c->bytes, c->n));
	c->walk->sample.task.mm_gva = 0;
	take(c, &facts);
	CHECK(!guest_user_registers(c->walk, &facts, &c->stack, c->bytes, c->n));
	free_copy(c);
}

TEST(a_space_is_its_tasks_own_by_its_page_tables)
{
	const uint64_t pgd = 0xffff888000400000;
	struct copy *c = new_copy(TOP - 512);
	struct vpmu_bpf_guest guest = facts;

	map_page(c->walk, pgd, PAGE(1), 12);
	put(c->walk, PAGE(33) + 0x30, pgd);
	guest.pgd_offset = 0x30;
	take(c, &guest);
	CHECK(guest_in_own_space(c->walk, &guest, PAGE(1)));
	CHECK(guest_in_own_space(c->walk, &guest, 1ULL << 63 | PAGE(1) | 5)); /* it was not flushed, and it has a number */
	CHECK(!guest_in_own_space(c->walk, &guest, PAGE(2)));		      /* the next task's */
	CHECK(!guest_in_own_space(c->walk, &guest, PAGE(1u << 20)));	      /* no memory */
	put(c->walk, PAGE(33) + 0x30, 0);
	take(c, &guest);
	CHECK(!guest_in_own_space(c->walk, &guest, PAGE(1)));
	take(c, &facts);
	CHECK(!guest_in_own_space(c->walk, &facts, PAGE(1))); /* where the address is kept is not known */
	free_copy(c);
}

/* Two pages, and nothing behind them. */
static void map_user_stack(struct copy *c)
{
	for (unsigned int i = 0; i < 2; i++)
		map_page(c->walk, USER + PAGE(i), PAGE(56 + i), 12);
	for (uint64_t at = 0; at < PAGE(2); at += 8)
		put(c->walk, PAGE(56) + at, USER + at);
}

TEST(a_programs_stack_comes_behind_its_kernels)
{
	struct vpmu_bpf_guest guest = facts;
	struct copy *c = new_copy(TOP - 512);

	guest.user_stack_bytes = 2048;
	map_user_stack(c);
	take(c, &guest);
	CHECK(guest_user_registers(c->walk, &guest, &c->stack, c->bytes, c->n));
	CHECK_EQ(c->stack.user_sp, USER + 4096 + 100);
	CHECK_EQ(c->stack.user_bp, 0x7ffd1000);
	c->n = guest_copy_user_stack(c->walk, &guest, &c->stack, &c->copy, c->bytes, c->n);
	CHECK_EQ(c->n, 512 + 2048);
	CHECK_EQ(c->stack.n_slices, 2);
	CHECK_SLICE(c, 0, TOP - 512, 512);
	CHECK_SLICE(c, 1, USER + 4096 + 96, 2048);
	CHECK_EQ(word(c, 512), USER + 4096 + 96);
	CHECK_EQ(c->stack.end, VPMU_BPF_END_COMPLETE);
	CHECK_EQ(c->stack.user_end, VPMU_BPF_END_COMPLETE);
	free_copy(c);
}

TEST(a_programs_stack_ends_where_nothing_is_mapped)
{
	struct vpmu_bpf_guest guest = facts;
	struct copy *c = new_copy(TOP - 512);

	guest.user_stack_bytes = 8192;
	map_user_stack(c);
	c->stack.user_sp = USER + 64;
	c->n = guest_copy_user_stack(c->walk, &guest, &c->stack, &c->copy, c->bytes, 0);
	CHECK_EQ(c->n, 8192 - 64);
	CHECK(c->stack.has_user);
	CHECK_SLICE(c, 0, USER + 64, 8192 - 64);
	CHECK_EQ(word(c, 4096), USER + 64 + 4096);
	CHECK_EQ(c->stack.user_end, VPMU_BPF_END_NO_MAPPING);
	c->stack.n_slices = 0;
	c->walk->memory.absent_gpa = PAGE(56);
	CHECK_EQ(guest_copy_user_stack(c->walk, &guest, &c->stack, &c->copy, c->bytes, 0), 0);
	CHECK_EQ(c->stack.user_end, VPMU_BPF_END_ABSENT);
	free_copy(c);
}

TEST(a_programs_stack_fits_behind_the_deepest_of_its_kernels)
{
	struct vpmu_bpf_guest guest = facts;
	struct copy *c = new_copy(STACK);

	guest.user_stack_bytes = VPMU_BPF_STACK_BYTES;
	map_user_stack(c);
	take(c, &guest);
	c->stack.user_sp = USER;
	c->n = guest_copy_user_stack(c->walk, &guest, &c->stack, &c->copy, c->bytes, c->n);
	CHECK_EQ(c->n, SIZE + 8192);
	CHECK_SLICE(c, 1, USER, 8192);
	free_copy(c);
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bpf/guest_walk.h on made-up memory: what it finds in an honest guest, and that a lying one gets an end with a
 * reason and nothing worse.
 */
#include "guest_pages.h"
#include "unit/test.h"

#define CODE  0x401000u
#define STACK 0x7ffd00010000u /* the first byte of a page that is there */

/* A stack of @n frames of 32 bytes in the pages at STACK (guest-physical pages 32 and on). */
static void make_stack(struct guest_walk *w, unsigned int n)
{
	for (unsigned int i = 0; i < 2; i++)
		map_page(w, STACK + PAGE(i), PAGE(32 + i), 12);
	for (unsigned int i = 0; i < n; i++) {
		put(w, PAGE(32) + i * 32, i + 1 < n ? STACK + (i + 1) * 32 : 0);
		put(w, PAGE(32) + i * 32 + 8, CODE + i);
	}
	w->bp = n ? STACK : 0;
}

static void check_walk(struct guest_walk *w, unsigned int want_n, enum vpmu_bpf_end want_end, int line)
{
	uint64_t bp = w->bp;

	guest_walk_frames(w);
	w->bp = bp; /* for the next walk */
	if (w->sample.end != want_end || w->sample.n_frames != want_n)
		FAIL("line %d: %u frames, end %u; expected %u frames, end %u", line, w->sample.n_frames,
		     w->sample.end, want_n, want_end);
	for (unsigned int i = 0; i < want_n; i++)
		CHECK_EQ(w->sample.frames[i], CODE + i);
}

#define CHECK_END(w, n, end) check_walk(w, n, end, __LINE__)

TEST(a_stack_is_walked_to_its_end)
{
	struct guest_walk *w = new_guest();

	make_stack(w, 40);
	CHECK_END(w, 40, VPMU_BPF_END_COMPLETE);
	free_guest(w);
}

TEST(a_chain_has_127_addresses_and_the_one_that_has_more_says_so)
{
	struct guest_walk *w = new_guest();

	make_stack(w, 126);
	CHECK_END(w, 126, VPMU_BPF_END_COMPLETE);
	make_stack(w, 127);
	CHECK_END(w, 126, VPMU_BPF_END_DEPTH);
	free_guest(w);
}

TEST(a_frame_may_lie_across_two_pages_that_are_nowhere_near_each_other)
{
	struct guest_walk *w = new_guest();

	map_page(w, STACK, PAGE(40), 12);
	map_page(w, STACK + 4096, PAGE(35), 12);
	put(w, PAGE(40) + 4088, 0);
	put(w, PAGE(35), CODE);
	w->bp = STACK + 4088;
	CHECK_END(w, 1, VPMU_BPF_END_COMPLETE);
	free_guest(w);
}

TEST(large_pages_and_five_levels)
{
	for (unsigned int levels = 4; levels <= 5; levels++)
		for (unsigned int shift = 21; shift <= 30; shift += 9) {
			struct guest_walk *w = new_guest();

			w->levels = levels;
			/* Bit 12 is the page attribute table's here, no address. */
			map_page(w, STACK, 0x1000, shift);
			w->bp = (STACK >> shift << shift) + PAGE(50);
			put(w, PAGE(50) + 8, CODE);
			CHECK_END(w, 1, VPMU_BPF_END_COMPLETE);
			free_guest(w);
		}
}

TEST(what_is_not_there_ends_the_chain_with_its_reason)
{
	struct guest_walk *w = new_guest();

	make_stack(w, 3);
	put(w, PAGE(32) + 64, STACK + 0x10000); /* frame 2's caller: a page without mapping */
	CHECK_END(w, 3, VPMU_BPF_END_NO_MAPPING);
	map_page(w, STACK + 0x10000, RAM_BYTES + 4096, 12);
	CHECK_END(w, 3, VPMU_BPF_END_NO_MEMORY);
	map_page(w, STACK + 0x10000, PAGE(60), 12);
	w->memory.absent_gpa = PAGE(60);
	CHECK_END(w, 3, VPMU_BPF_END_ABSENT);
	w->memory.absent_gpa = PAGE(1);
	CHECK_END(w, 0, VPMU_BPF_END_ABSENT);
	w->cr3 = 0x000ffffffffff000;
	CHECK_END(w, 0, VPMU_BPF_END_NO_MEMORY);
	free_guest(w);
}

TEST(frames_that_no_stack_has_end_the_chain)
{
	static const uint64_t next[] = {STACK, STACK - 32, STACK + 32, STACK + 33, 0xffff888000000000,
					0x800000000000, STACK + (17 << 20)};
	struct guest_walk *w = new_guest();

	make_stack(w, 3);
	for (size_t i = 0; i < sizeof(next) / sizeof(*next); i++) {
		put(w, PAGE(32) + 32, next[i]); /* frame 1: to itself, down, odd, … */
		CHECK_END(w, 2, VPMU_BPF_END_BAD_FRAME);
	}
	make_stack(w, 3);
	put(w, PAGE(32) + 40, 0);
	CHECK_END(w, 1, VPMU_BPF_END_BAD_RETURN);
	put(w, PAGE(32) + 40, 0xffffffff81000000);
	CHECK_END(w, 1, VPMU_BPF_END_BAD_RETURN);
	put(w, PAGE(32) + 32, 0); /* {0, 0} is how start-up code ends a stack */
	put(w, PAGE(32) + 40, 0);
	CHECK_END(w, 1, VPMU_BPF_END_COMPLETE);
	free_guest(w);
}

TEST(kernel_stacks_lie_in_the_upper_half)
{
	struct guest_walk *w = new_guest();
	uint64_t stack = 0xffffc90000010000;

	w->upper = 1;
	w->sample.ip = 0xffffffffc0001234; /* in a module */
	map_page(w, stack, PAGE(32), 12);
	put(w, PAGE(32) + 8, 0xffffffff81000042);
	w->bp = stack;
	guest_walk_frames(w);
	CHECK_EQ(w->sample.end, VPMU_BPF_END_COMPLETE);
	CHECK_EQ(w->sample.n_frames, 1);
	CHECK_EQ(w->sample.frames[0], 0xffffffff81000042);
	w->bp = STACK;
	CHECK_END(w, 0, VPMU_BPF_END_BAD_FRAME);
	w->bp = stack;
	put(w, PAGE(32) + 8, 0xffff888012345678); /* data: no kernel code returns to there */
	CHECK_END(w, 0, VPMU_BPF_END_BAD_RETURN);
	w->bp = 0; /* used for something else: this kernel has no frames */
	CHECK_END(w, 0, VPMU_BPF_END_BAD_FRAME);
	free_guest(w);
}

/* Every entry of the only table leads to that table: any address is mapped, to the table itself. */
TEST(tables_that_contain_themselves_take_no_longer_than_others)
{
	struct guest_walk *w = new_guest();

	for (unsigned int i = 0; i < 512; i++)
		put(w, PAGE(1) + i * 8, PAGE(1) | 1);
	w->bp = 0x1000;
	guest_walk_frames(w);
	CHECK(w->memory.reads <= 127 * 12);
	CHECK(w->sample.end == VPMU_BPF_END_BAD_FRAME || w->sample.end == VPMU_BPF_END_BAD_RETURN);
	free_guest(w);
}

/* ---- callers that have no frame below them: guest_code.h ---- */

#define TOP    (STACK - 64)	/* the stack pointer */
#define CALLER (CODE + 0x800)

/* A sample at code @bytes, in a page of its own, with a stack of three frames above its stack pointer. */
static struct guest_walk *sampled_at(const char *bytes, size_t n)
{
	struct guest_walk *w = new_guest();

	make_stack(w, 3);
	map_page(w, STACK - PAGE(1), PAGE(34), 12);
	map_page(w, CODE, PAGE(36), 12);
	memcpy(w->memory.ram + PAGE(36) + 0x100, bytes, n);
	w->memory.ram[PAGE(36) + 0x800 - 5] = 0xe8;
	w->ip = w->sample.ip = CODE + 0x100;
	w->sp = TOP;
	return w;
}

#define SAMPLED_AT(bytes) sampled_at(bytes, sizeof(bytes) - 1)
#define PUT_TOP(w, offset, value) put(w, PAGE(34) + 4096 - 64 + (offset), value)

static void check_caller(struct guest_walk *w, bool want, int line)
{
	guest_walk_frames(w);
	if (w->sample.n_frames != 3 + want || w->sample.end != VPMU_BPF_END_COMPLETE)
		FAIL("line %d: %u frames, end %u", line, w->sample.n_frames, w->sample.end);
	if (want)
		CHECK_EQ(w->sample.frames[0], CALLER);
	CHECK_EQ(w->sample.frames[want], CODE);
	free_guest(w);
}

#define CHECK_CALLER(w, want) check_caller(w, want, __LINE__)

TEST(a_function_without_its_frame_yet_has_its_caller)
{
	struct guest_walk *w = SAMPLED_AT("\x55\x48\x89\xe5");

	PUT_TOP(w, 0, CALLER);
	CHECK_CALLER(w, true);
	w = SAMPLED_AT("\x48\x89\xe5");
	PUT_TOP(w, 0, STACK);
	PUT_TOP(w, 8, CALLER);
	CHECK_CALLER(w, true);
	w = SAMPLED_AT("\xc3");
	PUT_TOP(w, 0, CALLER);
	CHECK_CALLER(w, true);
}

TEST(a_jump_to_another_function_leaves_the_caller_on_top)
{
	struct guest_walk *w = SAMPLED_AT("\xe9\x01\x02\x03\x04");

	w->memory.ram[PAGE(36) + 0xff] = 0x5d;
	PUT_TOP(w, 0, CALLER);
	PUT_TOP(w, -8, STACK); /* popped just now */
	CHECK_CALLER(w, true);
	w = SAMPLED_AT("\xe9\x01\x02\x03\x04");
	w->memory.ram[PAGE(36) + 0xff] = 0x5d; /* the end of another instruction: nothing was popped */
	PUT_TOP(w, 0, CALLER);
	CHECK_CALLER(w, false);
}

/* Some of it guest-made to mislead, all of it without a caller that is known for one. */
TEST(what_may_be_anything_is_no_caller)
{
	struct guest_walk *w = SAMPLED_AT("\x53\x48\x83\xec\x18"); /* in a function */

	PUT_TOP(w, 0, CALLER);
	CHECK_CALLER(w, false);
	w = SAMPLED_AT("\x55\x48\x89\xe5"); /* no call before it */
	PUT_TOP(w, 0, CALLER + 1);
	CHECK_CALLER(w, false);
	w = SAMPLED_AT("\x48\x89\xe5"); /* not pushed */
	PUT_TOP(w, 8, CALLER);
	CHECK_CALLER(w, false);
	w = SAMPLED_AT("\xc3"); /* the other half */
	PUT_TOP(w, 0, 0xffffffff81000000);
	CHECK_CALLER(w, false);
	w = SAMPLED_AT("\xc3"); /* no code is there */
	PUT_TOP(w, 0, CALLER + 4096);
	CHECK_CALLER(w, false);
	w = SAMPLED_AT("\xc3");
	w->sp = TOP + 1;
	CHECK_CALLER(w, false);
}

TEST(code_at_a_pages_begin_and_end)
{
	struct guest_walk *w = SAMPLED_AT("");

	w->memory.ram[PAGE(36)] = 0xc3;
	w->ip = CODE;
	PUT_TOP(w, 0, CALLER);
	CHECK_CALLER(w, true);
	w = SAMPLED_AT("");
	w->memory.ram[PAGE(36) + 4095] = 0xc3;
	w->ip = CODE + 4095;
	PUT_TOP(w, 0, CALLER);
	CHECK_CALLER(w, true);
}

/* As __fentry__ does: what it returns to has no frame yet, either. */
TEST(behind_a_return_may_be_another)
{
	struct guest_walk *w = SAMPLED_AT("\xc3");

	memcpy(w->memory.ram + PAGE(36) + 0x800, "\x55\x48\x89\xe5", 4);
	w->memory.ram[PAGE(36) + 0x900 - 5] = 0xe8;
	PUT_TOP(w, 0, CALLER);
	PUT_TOP(w, 8, CODE + 0x900);
	guest_walk_frames(w);
	CHECK_EQ(w->sample.n_frames, 5);
	CHECK_EQ(w->sample.frames[0], CALLER);
	CHECK_EQ(w->sample.frames[1], CODE + 0x900);
	CHECK_EQ(w->sample.frames[2], CODE);
	free_guest(w);
}

TEST(a_frame_below_the_stack_pointer_is_none)
{
	struct guest_walk *w = SAMPLED_AT("");

	w->bp = TOP - 16;
	CHECK_END(w, 0, VPMU_BPF_END_BAD_FRAME);
	w->bp = STACK + (17 << 20);
	CHECK_END(w, 0, VPMU_BPF_END_BAD_FRAME);
	free_guest(w);
}

/* ---- the running task ---- */

#define CPU_BASE 0xffff888000100000u
#define TASK	 0xffff888000300000u

static const struct vpmu_bpf_guest kernel_facts = {
	.kernel_cr3 = PAGE(1), .levels = 4, .current_offset = 0x20, .pid_offset = 0x9a0, .comm_offset = 0xb80, .mm_offset = 0x8e8,
};

/* Of a kernel whose CPU runs "worker", thread 71 of process 70. */
static void make_task(struct guest_walk *w)
{
	w->cpu_base = CPU_BASE;
	w->cr3 = kernel_facts.kernel_cr3;
	map_page(w, CPU_BASE, PAGE(40), 12);
	map_page(w, TASK, PAGE(41), 12);
	put(w, PAGE(40) + 0x20, TASK);
	put(w, PAGE(41) + 0x9a0, 71 | 70ull << 32);
	put(w, PAGE(41) + 0x8e8, 0xffff888000500000);
	memcpy(w->memory.ram + PAGE(41) + 0xb80, "worker", 7);
	w->cr3 = PAGE(20); /* the process's own, which does not show the kernel */
}

TEST(the_running_task_is_read_by_the_kernels_own_tables)
{
	struct guest_walk *w = new_guest();

	make_task(w);
	guest_walk_task(w, &kernel_facts);
	CHECK_EQ(w->sample.task.gva, TASK);
	CHECK_EQ(w->sample.task.pid, 71);
	CHECK_EQ(w->sample.task.tgid, 70);
	CHECK_EQ(w->sample.task.mm_gva, 0xffff888000500000);
	CHECK_STR(w->sample.task.comm, "worker");
	free_guest(w);
}

TEST(a_task_that_cannot_be_read_whole_is_none)
{
	struct guest_walk *w = new_guest();

	make_task(w);
	w->memory.absent_gpa = PAGE(41);
	guest_walk_task(w, &kernel_facts);
	CHECK_EQ(w->sample.task.gva, 0);
	make_task(w);
	put(w, PAGE(40) + 0x20, 0x1234567890); /* nowhere */
	guest_walk_task(w, &kernel_facts);
	CHECK_EQ(w->sample.task.gva, 0);
	put(w, PAGE(40) + 0x20, TASK + 4090 - 0x9a0); /* its fields across pages */
	guest_walk_task(w, &kernel_facts);
	CHECK_EQ(w->sample.task.gva, 0);
	free_guest(w);
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each CPU has a pointer to the task that runs on it among its own data, whose base is in GS while the kernel is at work. Its place there:
 *
 *	until 6.1	the variable current_task
 *	6.2 to 6.14	a member of the variable pcpu_hot (e57ef2ed97c1, "x86: Put hot per CPU variables into
 *			a struct")
 *	since 6.15	current_task again (a1e4cc0155ad, "x86/percpu: Move current_task to percpu hot section")
 *
 * The symbol of a per-CPU variable is what is to be added to the base. Until 6.14 these count from 0; since 6.15 they are
 * addresses in the kernel's image, and the base makes up for it: the sum is the same.
 *
 * hardirq_stack_ptr, where interrupts' stack is, moved along with it. It points at the stack's topmost word since 5.12 (951c2a51ae75,
 * "x86/irq/64: Adjust the per CPU irq stack pointer by 8"), behind it before. The top of a task's stack has a gap above the registers
 * in kernels that can use FRED (6.9, CONFIG_X86_FRED; arch/x86/include/asm/thread_info.h, TOP_OF_KERNEL_STACK_PADDING).
 *
 * cea_exception_stacks points at the stacks of NMIs and the like: bpf/guest_stack.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest/confined.h"
#include "guest/current.h"
#include "guest/kernel_types.h"
#include "guest/tasks.h"
#include "util/error.h"

static bool find_pointer(const struct vpmu_kernel *k, uint64_t *ret_offset)
{
	if (k->gva[KERNEL_PCPU_HOT] && k->types->task.current_in_hot != NO_MEMBER)
		*ret_offset = k->gva[KERNEL_PCPU_HOT] + k->types->task.current_in_hot;
	else if (k->gva[KERNEL_CURRENT_TASK])
		*ret_offset = k->gva[KERNEL_CURRENT_TASK];
	else
		return false;
	return true;
}

/* What a parser says goes to a program that reads guest memory with it: the guest's own, whatever it is. */
static int ask_confined(struct confined *confined, struct vpmu_bpf_guest *ret, struct vpmu_error *reterr)
{
	struct parser_answer answer = {.most_bytes = sizeof(*ret)};
	struct vpmu_bpf_guest told = {};
	int r = confined_ask(confined, PARSER_CURRENT, NULL, 0, &answer, reterr);

	if (r == 0 && answer.bytes.n == sizeof(told))
		memcpy(&told, answer.bytes.text, sizeof(told));
	strbuf_deinit(&answer.bytes);
	if (r < 0)
		return r;
	if (told.levels != 4 && told.levels != 5)
		return error_set(reterr, -EBADMSG, "the guest's running task is not told right");
	*ret = told;
	return 0;
}

/* Where kernel stacks are; stack_bytes stays 0 if it is not known. */
static void describe_stacks(const struct vpmu_kernel *k, struct vpmu_bpf_guest *guest)
{
	unsigned int major = 0, minor = 0;
	bool words = sscanf(k->release, "%u.%u", &major, &minor) == 2 && (major > 5 || (major == 5 && minor >= 12));

	if (k->types->task.stack == NO_MEMBER)
		return;
	guest->stack_bytes = k->types->task.stack_bytes ? k->types->task.stack_bytes : VPMU_BPF_STACK_BYTES;
	if (guest->stack_bytes > VPMU_BPF_STACK_BYTES) /* KASAN's */
		guest->stack_bytes = 0;
	guest->stack_offset = k->types->task.stack;
	guest->pgd_offset = k->types->mm.pgd == NO_MEMBER ? 0 : k->types->mm.pgd;
	guest->stack_padding_bytes = k->gva[KERNEL_FRED_ENTRY] ? 16 : 0;
	guest->irq_top_bytes = words ? 8 : 0;
	if (k->gva[KERNEL_PCPU_HOT] && k->types->task.hardirq_in_hot != NO_MEMBER)
		guest->hardirq_offset = k->gva[KERNEL_PCPU_HOT] + k->types->task.hardirq_in_hot;
	else
		guest->hardirq_offset = k->gva[KERNEL_HARDIRQ_STACK_PTR];
	guest->exceptions_bytes = k->types->task.exception_stacks_bytes;
	if (guest->exceptions_bytes)
		guest->exceptions_offset = k->gva[KERNEL_EXCEPTION_STACKS];
}

int current_describe(struct vpmu_kernel *k, struct vpmu_bpf_guest *ret, struct vpmu_error *reterr)
{
	int r = kernel_look_again(k, reterr);
	uint64_t offset;

	if (r == 0 && k->confined)
		return ask_confined(k->confined, ret, reterr);
	if (r == 0)
		r = kernel_types_load(k, reterr);
	if (r < 0)
		return r;
	if (!find_pointer(k, &offset) || k->types->task.tgid != k->types->task.pid + 4)
		return error_set(reterr, -EOPNOTSUPP,
				 "the guest's kernel %s keeps its running tasks in a way that is not known",
				 k->release);
	*ret = (struct vpmu_bpf_guest){
		.kernel_cr3 = k->paging.root_gpa,
		.levels = k->paging.levels,
		.current_offset = offset,
		.pid_offset = k->types->task.pid,
		.comm_offset = k->types->task.comm,
		.mm_offset = k->types->task.mm,
	};
	describe_stacks(k, ret);
	return 0;
}

int current_read(struct vpmu_kernel *k, unsigned int cpu, struct guest_task *ret)
{
	uint64_t offset, base, gva;
	int r;

	if (!find_pointer(k, &offset) || !k->gva[KERNEL_PER_CPU_OFFSET])
		return -EOPNOTSUPP;
	memory_forget(k->memory);
	kernel_work_begin(k);
	r = kernel_read_u64(k, k->gva[KERNEL_PER_CPU_OFFSET] + (uint64_t)cpu * 8, &base);
	if (r == 0)
		r = kernel_read_u64(k, base + offset, &gva);
	return r == 0 ? task_read(k, gva, ret) : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unwinds the kernel stack of every sleeping task of a guest. A task that sleeps has left its registers in its stack (struct
 * inactive_task_frame, arch/x86/include/asm/switch_to.h), so it is known where to begin, and that the way leads either to where user mode
 * was left or to the beginning of a kernel thread: anything else is an error of ours.
 *
 * usage: sleepers PID | MEMORY-FILE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vpmu/introspect.h>

#include "guest/current.h"
#include "guest/kernel_orc.h"
#include "guest/kernel_types.h"
#include "guest/tasks.h"

#define CPUS   4 /* of the guests here */
#define FRAMES 128
#define TRIES  5

struct survey {
	struct vpmu_kernel *kernel;
	struct kernel_orc *orc;
	unsigned int n_tasks, n_user, n_outermost, n_frames, n_bad;
	bool tell;
};

static const char *const ends[] = {
	[ORC_END_NONE] = "more than there is room for", [ORC_END_USER] = "user mode",
	[ORC_END_OUTERMOST] = "the outermost frame",	[ORC_END_NO_ENTRY] = "no entry",
	[ORC_END_NO_STACK] = "not on the stack",	[ORC_END_BAD_FRAME] = "down the stack",
};

/* struct inactive_task_frame: r15, r14, r13, r12, bx, bp, return address. */
enum { SAVED_BP = 40, SAVED_RETURN = 48, SAVED_BYTES = 56 };

static enum orc_end unwind(struct survey *s, const struct guest_task *task, uint64_t frames[FRAMES], size_t *ret_n)
{
	const struct kernel_types *t = s->kernel->types;
	uint32_t n_stack = t->task.stack_bytes ? t->task.stack_bytes : 16384;
	uint8_t *bytes = malloc(n_stack);
	struct orc_stack stack = {.n_slices = 1};
	struct orc_regs regs = {};
	uint64_t base = 0, sp = 0;
	enum orc_end end = ORC_END_NO_STACK;

	*ret_n = 0;
	if (bytes && kernel_read_u64(s->kernel, task->gva + t->task.stack, &base) == 0 &&
	    kernel_read_u64(s->kernel, task->gva + t->task.thread_sp, &sp) == 0 && sp - base < n_stack - SAVED_BYTES &&
	    kernel_read(s->kernel, base, bytes, n_stack) == 0) {
		memcpy(&regs.bp, bytes + (sp - base) + SAVED_BP, 8);
		memcpy(&regs.ip, bytes + (sp - base) + SAVED_RETURN, 8);
		regs.sp = sp + SAVED_BYTES;
		/* A new task has not been anywhere yet. */
		regs.exact = regs.ip == s->kernel->gva[KERNEL_RET_FROM_FORK];
		stack.slices[0] = (struct orc_slice){base, n_stack, bytes};
		end = orc_unwind(kernel_orc_view(s->orc), &stack, &regs, frames, FRAMES, ret_n);
	}
	free(bytes);
	return end;
}

/* What runs has no registers in memory. */
static bool is_running(const struct survey *s, const struct guest_task *task)
{
	struct guest_task current;

	for (unsigned int cpu = 0; cpu < CPUS; cpu++)
		if (current_read(s->kernel, cpu, &current) == 0 && current.gva == task->gva)
			return true;
	return false;
}

static int see_task(const struct guest_task *task, void *data)
{
	struct survey *s = data;
	uint64_t frames[FRAMES];
	enum orc_end end = ORC_END_NONE;
	size_t n = 0;

	/* It may wake up while we look, and its CPU may stand still meanwhile. */
	for (int i = 0; i < TRIES && end != ORC_END_USER && end != ORC_END_OUTERMOST; i++) {
		if (i > 0)
			nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
		memory_forget(s->kernel->memory);
		if (is_running(s, task))
			return 0;
		end = unwind(s, task, frames, &n);
	}
	s->n_tasks++;
	s->n_frames += (unsigned int)n;
	s->n_user += end == ORC_END_USER;
	s->n_outermost += end == ORC_END_OUTERMOST;
	if (end == ORC_END_USER || end == ORC_END_OUTERMOST)
		return 0;
	s->n_bad++;
	printf("%d %s: ended after %zu frames: %s\n", task->pid, task->comm, n, ends[end]);
	for (size_t i = 0; i < n; i++)
		printf("  %016llx\n", (unsigned long long)frames[i]);
	return 0;
}

int main(int argc, char **argv)
{
	struct vpmu_kernel_opts opts = {.sz = sizeof(opts)};
	struct vpmu_guest_info guest = {.accel = VPMU_ACCEL_TCG};
	struct survey s = {};
	struct vpmu_error error = {};
	char *end;
	int r;

	if (argc != 2)
		return 2;
	guest.pid = (pid_t)strtol(argv[1], &end, 10);
	if (*end)
		opts.memory_path = argv[1];
	r = vpmu_kernel_open(*end ? NULL : &guest, &opts, &s.kernel, &error);
	if (r == 0)
		r = kernel_orc_load(s.kernel, &s.orc, &error);
	if (r == 0)
		r = tasks_each(s.kernel, see_task, &s);
	if (r < 0)
		fprintf(stderr, "sleepers: %s\n", error.text);
	else
		printf("sleeping tasks: %u, %u from user mode, %u kernel threads, %u frames, %u unwound wrong\n", s.n_tasks, s.n_user,
		       s.n_outermost, s.n_frames, s.n_bad);
	kernel_orc_free(s.orc);
	vpmu_kernel_free(s.kernel);
	return r < 0 || s.n_bad || !s.n_user || !s.n_outermost;
}

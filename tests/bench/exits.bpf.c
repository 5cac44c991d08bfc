/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The account of VM exits (bpf/exit_account.h, with maps as those of bpf/exits.bpf.c) on tracepoints that are there at any rate one likes: a system
 * call stands for an exit, its return for the entry. As many fields of kernel structures are read as at an exit: one.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "bpf/exit_threads.bpf.h"
#include "bpf/kvm_trace.h"

char LICENSE[] SEC("license") = "GPL";

static __noinline struct vpmu_bpf_exit_row *exit_detail_row(__u32 tid, __u32 kind, __u64 value)
{
	(void)tid, (void)kind, (void)value;
	return NULL;
}

#include "bpf/exit_account.h"

SEC("raw_tp/sys_enter")
int bench_exit(struct raw_args *ctx)
{
	__u64 now_ns = bpf_ktime_get_ns();
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t = find_current(tid);
	struct task_struct *task;
	__u32 zero;

	if (!t)
		return 0;
	/* As much as the reason is away: where it is is known. */
	task = (void *)bpf_get_current_task();
	zero = BPF_CORE_READ(task, preempt_notifiers.first) != NULL;
	exit_begin(t, tid, now_ns, KVM_ISA_SVM, ((__u32)ctx->arg[1] & 0x7f) + zero);
	return 0;
}

SEC("raw_tp/sys_exit")
int bench_entry(struct raw_args *ctx)
{
	__u64 now_ns = bpf_ktime_get_ns(), ns;
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t = find_current(tid);

	(void)ctx;
	if (t)
		exit_end(t, tid, now_ns, 0, 0, &ns);
	return 0;
}

SEC("raw_tp/sys_enter")
int bench_nothing_out(struct raw_args *ctx)
{
	(void)ctx;
	return 0;
}

SEC("raw_tp/sys_exit")
int bench_nothing_in(struct raw_args *ctx)
{
	(void)ctx;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clocks' program with the thread's system calls in place of exits and entries, so that what an event costs can be measured where KVM
 * does not tell of them. A real exit's reason lies two reads away; a system call's number is at hand.
 */
#include "bpf/clock.bpf.c"

SEC("raw_tp/sys_enter")
int bench_exit(struct raw_args *ctx)
{
	struct vpmu_bpf_clock *c = current_clock();

	if (!c)
		return 0;
	clock_begin(c);
	clock_exit(c, bpf_ktime_get_ns(), (__u32)ctx->arg[1]);
	clock_end(c);
	return 0;
}

SEC("raw_tp/sys_exit")
int bench_entry(void *ctx)
{
	struct vpmu_bpf_clock *c = current_clock();

	(void)ctx;
	if (!c)
		return 0;
	clock_begin(c);
	clock_entry(c, bpf_ktime_get_ns());
	clock_end(c);
	return 0;
}

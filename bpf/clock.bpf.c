/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Feeds the clocks of vCPU threads (clock_account.h) with the events that they take. User space says which threads: it
 * gives each a clock, an element of an array that it has mapped and can read at any time, and enters the thread's id in
 * a table. Nothing is handed out here event by event.
 *
 * The scheduler's tracepoints fire for every thread of the machine, so strangers are turned away by one bit: a filter of
 * 65536, indexed by thread id.
 *
 * Where does a thread sleep? KVM registers a preemption notifier with a thread for as long as it has a vCPU loaded, which is
 * while it is in KVM_RUN; without one the thread sleeps in some other system call of the hypervisor. In KVM_RUN it is halted if
 * KVM says that the vCPU blocks (stat.generic.blocking, since Linux 5.16); else it sleeps as any thread may in the kernel.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kvm_trace.h"
#include "clock_account.h"
#include "clock_queue.h"

char LICENSE[] SEC("license") = "GPL";

#define FILTER_BYTES 8192

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sched_info___clock {
	unsigned long pcount;	      /* how often it got a CPU; 0 where no account is kept */
	unsigned long long run_delay; /* nanoseconds; CONFIG_SCHED_INFO */
};

struct task_struct___clock {
	int pid, tgid;
	int on_cpu;
	int wake_cpu; /* set with the task's CPU; what that is called changed in Linux 5.16 */
	char comm[16];
	unsigned int __state; /* since Linux 5.14 */
	struct sched_info___clock sched_info;
};

struct kvm_vcpu_stat_generic {
	__u64 blocking;
};

struct kvm_vcpu_stat___generic {
	struct kvm_vcpu_stat_generic generic;
};

struct kvm_vcpu___clock {
	struct kvm_vcpu_stat___generic stat;
};

#pragma clang attribute pop

/* How many arguments these tracepoints have in this kernel: kvm_trace.h. */
const volatile __u32 vpmu_kvm_exit_args, vpmu_sched_switch_args;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set by who loads it */
	__type(key, __u32);	/* thread id */
	__type(value, __u32);	/* its clock */
} vpmu_threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* likewise */
	__type(key, __u32);
	__type(value, struct vpmu_bpf_clock);
} vpmu_clocks SEC(".maps");

/* By CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* likewise */
	__type(key, __u32);
	__type(value, struct clock_queue);
} vpmu_queues SEC(".maps");

/* Emptied by user space now and then. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, struct vpmu_bpf_competitor_key);
	__type(value, struct vpmu_bpf_competitor);
} vpmu_competitors SEC(".maps");

__u8 vpmu_filter[FILTER_BYTES]; /* which thread ids may be in the table */
__u32 vpmu_isa;			/* which vendor's exit reasons: what kvm_exit said last */
__u32 vpmu_entries_fire;	/* this KVM has kvm_entry: some vCPU, of whichever guest, came through it */

#define NO_CLOCK 0xffffffffu

static __always_inline __u32 number_of(__u32 tid)
{
	__u32 *number;

	if (!(vpmu_filter[tid >> 3 & (FILTER_BYTES - 1)] >> (tid & 7) & 1))
		return NO_CLOCK;
	number = bpf_map_lookup_elem(&vpmu_threads, &tid);
	return number ? *number : NO_CLOCK;
}

static __always_inline struct vpmu_bpf_clock *clock_of(__u32 tid)
{
	__u32 number = number_of(tid);

	return number == NO_CLOCK ? NULL : bpf_map_lookup_elem(&vpmu_clocks, &number);
}

static __always_inline struct vpmu_bpf_clock *current_clock(void)
{
	return clock_of((__u32)bpf_get_current_pid_tgid());
}

static __always_inline struct vpmu_bpf_clock *queue_clock(__u32 clock)
{
	return bpf_map_lookup_elem(&vpmu_clocks, &clock);
}

static __noinline void queue_charge_to(__u32 clock, const struct clock_queue *who, __u64 ns)
{
	struct vpmu_bpf_competitor_key key = { .clock = clock };
	struct vpmu_bpf_competitor *had, first = { .ns = ns };

	if (!who)
		return;
	key.tid = who->tid;
	had = bpf_map_lookup_elem(&vpmu_competitors, &key);
	if (had) {
		__sync_fetch_and_add(&had->ns, ns);
		return;
	}
	first.pid = who->pid;
	__builtin_memcpy(first.comm, who->comm, sizeof(first.comm));
	bpf_map_update_elem(&vpmu_competitors, &key, &first, BPF_NOEXIST);
}

/* What it is for @task to sleep just now: an enum vpmu_bpf_part. */
static __always_inline __u8 asleep_in(struct task_struct *task)
{
	struct hlist_node *first = BPF_CORE_READ(task, preempt_notifiers.first);
	struct kvm_vcpu___clock *vcpu;

	if (!first)
		return VPMU_BPF_PART_BLOCKED;
	if (!bpf_core_field_exists(struct kvm_vcpu, preempt_notifier) ||
	    !bpf_core_field_exists(struct kvm_vcpu_stat___generic, generic) ||
	    !bpf_core_field_exists(struct kvm_vcpu_stat_generic, blocking))
		return VPMU_BPF_PART_HALT;
	vcpu = (void *)first - bpf_core_field_offset(struct kvm_vcpu, preempt_notifier.link);
	return BPF_CORE_READ(vcpu, stat.generic.blocking) ? VPMU_BPF_PART_HALT :
							   VPMU_BPF_PART_BLOCKED_KVM;
}

/* ---- the scheduler ---- */

/* Whether the thread that leaves the CPU does so against its will, or was woken when it was about to sleep. */
static __always_inline bool is_runnable(const __u64 *ctx, struct task_struct *prev)
{
	if (vpmu_sched_switch_args == 4)
		return (__u32)RAW_ARG((const struct raw_args *)ctx, 3) == TASK_RUNNING;
	return ((struct task_struct___clock *)prev)->__state == TASK_RUNNING;
}

/* How long it has ever waited for a CPU; 0 on a kernel that keeps no account of that. */
static __always_inline __u64 delay_of(const void *task)
{
	if (!bpf_core_field_exists(struct task_struct___clock, sched_info.run_delay))
		return 0;
	return ((const struct task_struct___clock *)task)->sched_info.run_delay;
}

static __always_inline bool has_delay(const void *task)
{
	return bpf_core_field_exists(struct task_struct___clock, sched_info.pcount) &&
	       ((const struct task_struct___clock *)task)->sched_info.pcount;
}

/* The thread that leaves the CPU waits, as far as we know: nobody told us that it had got it. */
static __always_inline void switched_in_unseen(__u32 number, const void *prev)
{
	struct vpmu_bpf_clock *c = bpf_map_lookup_elem(&vpmu_clocks, &number);
	struct clock_queue *queue;
	__u64 end_ns;
	__u32 cpu;

	if (!c || c->run != VPMU_BPF_RUN_WAITING || !has_delay(prev))
		return;
	end_ns = clock_wait_end(c, bpf_ktime_get_ns(), delay_of(prev));
	cpu = c->wait_cpu;
	queue = bpf_map_lookup_elem(&vpmu_queues, &cpu);
	clock_begin(c);
	if (queue)
		queue_charge(queue, number, c, end_ns);
	clock_got_cpu_unseen(c, end_ns);
	clock_end(c);
}

static __always_inline void switched_out(__u64 *ctx, __u32 number, struct clock_queue *queue, __u32 cpu)
{
	struct task_struct *prev = (void *)ctx[1];
	struct vpmu_bpf_clock *c = bpf_map_lookup_elem(&vpmu_clocks, &number);
	__u64 now_ns = bpf_ktime_get_ns();
	bool waits;

	if (!c)
		return;
	waits = ctx[0] & 1 || is_runnable(ctx, prev);
	clock_begin(c);
	clock_switched_out(c, now_ns, waits, waits ? 0 : asleep_in(prev));
	c->delay_ns = delay_of(prev);
	if (waits)
		queue_join(queue, cpu, number, c, now_ns);
	clock_end(c);
}

static __always_inline void switched_in(__u32 number, __u32 cpu)
{
	struct vpmu_bpf_clock *c = bpf_map_lookup_elem(&vpmu_clocks, &number);
	__u64 now_ns = bpf_ktime_get_ns();
	struct clock_queue *queue;
	__u32 wait_cpu;

	if (!c)
		return;
	clock_begin(c);
	wait_cpu = c->wait_cpu;
	if (c->run == VPMU_BPF_RUN_WAITING && wait_cpu != cpu) {
		queue = bpf_map_lookup_elem(&vpmu_queues, &wait_cpu);
		if (queue)
			queue_charge(queue, number, c, now_ns);
	}
	clock_switched_in(c, now_ns);
	clock_end(c);
}

SEC("tp_btf/sched_switch")
int vpmu_clock_switch(__u64 *ctx)
{
	struct task_struct___clock *prev = (void *)ctx[1], *next = (void *)ctx[2];
	__u32 cpu = bpf_get_smp_processor_id(), number;
	struct clock_queue *queue = bpf_map_lookup_elem(&vpmu_queues, &cpu);

	if (!queue)
		return 0;
	number = number_of((__u32)prev->pid);
	if (number != NO_CLOCK)
		switched_in_unseen(number, prev);
	if (queue->n)
		queue_turn(queue, cpu, bpf_ktime_get_ns());
	if (number != NO_CLOCK)
		switched_out(ctx, number, queue, cpu);
	number = number_of((__u32)next->pid);
	if (number != NO_CLOCK)
		switched_in(number, cpu);
	queue->tid = (__u32)next->pid;
	queue->pid = (__u32)next->tgid;
	__builtin_memcpy(queue->comm, next->comm, sizeof(queue->comm));
	return 0;
}

SEC("tp_btf/sched_wakeup")
int vpmu_clock_wakeup(__u64 *ctx)
{
	struct task_struct___clock *task = (void *)ctx[0];
	__u32 number = number_of((__u32)task->pid), cpu;
	struct clock_queue *queue;
	struct vpmu_bpf_clock *c;
	__u64 now_ns;

	if (number == NO_CLOCK)
		return 0;
	c = bpf_map_lookup_elem(&vpmu_clocks, &number);
	if (!c || !clock_slept(c, task->on_cpu))
		return 0;
	cpu = (__u32)task->wake_cpu;
	queue = bpf_map_lookup_elem(&vpmu_queues, &cpu);
	now_ns = bpf_ktime_get_ns();
	clock_begin(c);
	clock_woken(c, now_ns, asleep_in((struct task_struct *)task));
	c->delay_ns = delay_of(task);
	if (queue)
		queue_join(queue, cpu, number, c, now_ns);
	clock_end(c);
	return 0;
}

/* The thread's id may soon be another's. */
SEC("tp_btf/sched_process_exit")
int vpmu_clock_ended(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	__u32 tid = (__u32)((struct task_struct___clock *)task)->pid;
	struct vpmu_bpf_clock *c = clock_of(tid);

	if (!c)
		return 0;
	clock_begin(c);
	clock_ended(c, bpf_ktime_get_ns());
	clock_end(c);
	bpf_map_delete_elem(&vpmu_threads, &tid);
	return 0;
}

/* ---- KVM ---- */

SEC("raw_tp/kvm_entry")
int vpmu_clock_entry(void *ctx)
{
	struct vpmu_bpf_clock *c = current_clock();

	(void)ctx;
	if (!vpmu_entries_fire)
		vpmu_entries_fire = 1;
	if (!c)
		return 0;
	clock_begin(c);
	clock_entry(c, bpf_ktime_get_ns());
	clock_end(c);
	return 0;
}

SEC("raw_tp/kvm_exit")
int vpmu_clock_exit(struct raw_args *ctx)
{
	struct vpmu_bpf_clock *c = current_clock();
	struct kvm_exit_args args;
	__u32 code;

	if (!c)
		return 0;
	args = kvm_exit_args(ctx, vpmu_kvm_exit_args);
	code = kvm_exit_code(args.vcpu, args.isa);
	if (args.isa == KVM_ISA_VMX && code != VPMU_BPF_CLOCK_NO_REASON)
		code &= 0xffff; /* the basic reason; flags are above */
	if (vpmu_isa != args.isa)
		vpmu_isa = args.isa;
	clock_begin(c);
	clock_exit(c, bpf_ktime_get_ns(), code);
	clock_end(c);
	return 0;
}

SEC("raw_tp/kvm_userspace_exit")
int vpmu_clock_userspace(void *ctx)
{
	struct vpmu_bpf_clock *c = current_clock();

	(void)ctx;
	if (!c)
		return 0;
	clock_begin(c);
	clock_userspace(c, bpf_ktime_get_ns());
	clock_end(c);
	return 0;
}

/* The end of a halt; its first argument is how long it took, polling included. */
SEC("raw_tp/kvm_vcpu_wakeup")
int vpmu_clock_halted(struct raw_args *ctx)
{
	struct vpmu_bpf_clock *c = current_clock();

	if (!c)
		return 0;
	clock_begin(c);
	clock_halted(c, bpf_ktime_get_ns(), ctx->arg[0]);
	clock_end(c);
	return 0;
}

/* ---- how the threads of a process stand that we have just begun to look at ---- */

struct bpf_iter__task {
	struct task_struct *task;
} __attribute__((preserve_access_index));

SEC("iter/task")
int vpmu_clock_seen(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct vpmu_bpf_clock *c;

	if (!task)
		return 0;
	c = clock_of((__u32)((struct task_struct___clock *)task)->pid);
	if (!c || c->run != VPMU_BPF_RUN_UNSEEN || c->seen_run)
		return 0;
	if (((struct task_struct___clock *)task)->__state) {
		c->seen_asleep_in = asleep_in(task);
		c->seen_run = VPMU_BPF_RUN_ASLEEP;
	} else {
		c->seen_run = ((struct task_struct___clock *)task)->on_cpu ? VPMU_BPF_RUN_RUNNING :
									    VPMU_BPF_RUN_WAITING;
	}
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VM exits, accounted where they happen. KVM's tracepoints run these programs; what follows from
 * their order is in exit_account.h. Nothing is sent to user space: it reads the sums when it wants
 * to know.
 *
 * How much room there is is fixed: VPMU_BPF_EXIT_ROWS reasons for each thread, and as many MSRs,
 * ports, … as vpmu_details holds. What does not fit is counted (n_unfit).
 */
#include "kvm_trace.h"
#include "exit_threads.bpf.h"
#include "guest_regs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Bits by enum vpmu_bpf_exit_kind: what is to be noted. */
const volatile __u32 vpmu_kinds;
const volatile __u32 vpmu_trips;  /* 1 = of nested guests */
const volatile __u32 vpmu_chains; /* 1 = sample exits with the guest's call chains */

/* How many arguments this kernel's tracepoints have. */
const volatile __u32 vpmu_kvm_exit_args, vpmu_kvm_page_fault_args, vpmu_sched_switch_args;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct vpmu_bpf_exit_key);
	__type(value, struct vpmu_bpf_exit_row);
} vpmu_details SEC(".maps");

/* Sampled exits. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} vpmu_exit_samples SEC(".maps");

/*
 * Too large for the stack. These tracepoints run with preemption disabled, and interrupts do not
 * leave guests.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guest_walk);
} vpmu_walks SEC(".maps");

static const struct vpmu_bpf_exit_row empty_row;

static __noinline struct vpmu_bpf_exit_row *exit_detail_row(__u32 tid, __u32 kind, __u64 value)
{
	struct vpmu_bpf_exit_key key = {.tid = tid, .kind = kind, .value = value};
	struct vpmu_bpf_exit_row *row = bpf_map_lookup_elem(&vpmu_details, &key);

	if (row)
		return row;
	if (bpf_map_update_elem(&vpmu_details, &key, &empty_row, BPF_NOEXIST) < 0)
		return NULL;
	return bpf_map_lookup_elem(&vpmu_details, &key);
}

#include "exit_account.h"

/* ---- where it was ---- */

/* Takes down where the guest left, at a moment when that can be read. */
static __noinline int read_place(struct vpmu_bpf_exit_place *place, struct kvm_vcpu *vcpu)
{
	struct guest_walk *w;
	__u32 zero = 0;

	w = bpf_map_lookup_elem(&vpmu_walks, &zero);
	if (!w)
		return 0;
	w->sample.ip = 0;
	place->has_chain = read_registers(vcpu, w) < 0;
	if (!place->has_chain && !kvm_rip_known(vcpu, vpmu_flavour))
		return 0;
	place->ip = place->has_chain ? w->sample.ip : kvm_rip(vcpu, vpmu_flavour);
	place->bp = w->bp;
	place->cr3 = w->cr3;
	place->user = w->sample.user;
	place->levels = (__u8)w->levels;
	place->is_read = 1;
	return 0;
}

/* Sends the place with its chain. @id: VPMU_BPF_EXIT_ID(). */
static __noinline int send_sample(struct vpmu_bpf_exit_thread *t, struct kvm_vcpu *vcpu, __u64 id, __u64 ns)
{
	struct vpmu_bpf_exit_place *place = &t->place;
	struct guest_walk *w;
	__u32 zero = 0, n;

	w = bpf_map_lookup_elem(&vpmu_walks, &zero);
	if (!w)
		return 0;
	w->sample.event_id = id;
	w->sample.time_ns = bpf_ktime_get_ns();
	w->sample.period = ns;
	w->sample.cpu = place->one_in;
	w->sample.pid = bpf_get_current_pid_tgid() >> 32;
	w->sample.tid = current_tid();
	w->sample.ip = place->is_read ? place->ip : 0;
	w->sample.user = place->user;
	w->sample.n_frames = 0;
	w->sample.end = VPMU_BPF_END_COUNT; /* not walked */
	if (place->is_read && place->has_chain) {
		w->bp = place->bp;
		w->sp = 0;
		w->cr3 = place->cr3;
		w->levels = place->levels;
		walk_guest(BPF_CORE_READ(vcpu, kvm), w);
	}
	n = w->sample.n_frames;
	if (n > VPMU_BPF_MAX_ADDRESSES - 1)
		return 0;
	if (bpf_ringbuf_output(&vpmu_exit_samples, &w->sample, VPMU_BPF_SAMPLE_BYTES(n),
			       BPF_RB_NO_WAKEUP) < 0)
		t->n_unsampled++;
	return 0;
}

/* ---- out and in ---- */

static __always_inline bool wanted(__u32 kind)
{
	return vpmu_kinds >> kind & 1;
}

/* The address that the guest left at. */
static __always_inline void note_rip(struct vpmu_bpf_exit_thread *t, __u32 tid, struct kvm_vcpu *vcpu)
{
	if (kvm_rip_known(vcpu, vpmu_flavour))
		exit_detail(t, tid, VPMU_BPF_EXIT_RIP, kvm_rip(vcpu, vpmu_flavour));
}

/*
 * The reason. Each read of kernel memory costs as much as the clock; so where SVM's block for the
 * guest is, is kept. While L2 runs it is another one: kvm_nested_vmexit follows then, and puts the
 * reason right.
 */
static __always_inline __u32 read_code(struct vpmu_bpf_exit_thread *t, struct kvm_vcpu *vcpu, __u32 isa)
{
	struct vmcb *vmcb;

	if (isa != KVM_ISA_SVM || !bpf_core_type_exists(struct vcpu_svm))
		return kvm_exit_code(vcpu, isa);
	if (t->vcpu != (__u64)vcpu) {
		if (kvm_in_nested(vcpu))
			return kvm_exit_code(vcpu, isa);
		t->control = (__u64)BPF_CORE_READ((struct vcpu_svm *)vcpu, vmcb);
		t->vcpu = (__u64)vcpu;
	}
	vmcb = (void *)t->control;
	return BPF_CORE_READ(vmcb, control.exit_code);
}

SEC("raw_tp/kvm_exit")
int vpmu_kvm_exit(struct raw_args *ctx)
{
	__u64 now_ns = bpf_ktime_get_ns();
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t = find_current(tid);
	struct kvm_exit_args args;

	if (!t)
		return 0;
	args = kvm_exit_args(ctx, vpmu_kvm_exit_args);
	exit_begin(t, tid, now_ns, args.isa, read_code(t, args.vcpu, args.isa));
	if (vpmu_chains && t->state == VPMU_BPF_EXIT_OUTSIDE) {
		t->place.is_read = 0;
		t->place.one_in = exit_sample_due(t, now_ns, bpf_get_prandom_u32());
	}
	if (vpmu_flavour == VPMU_BPF_FLAVOUR_VMX)
		return 0; /* it is not known yet */
	if (wanted(VPMU_BPF_EXIT_RIP))
		note_rip(t, tid, args.vcpu);
	if (vpmu_chains && t->place.one_in)
		read_place(&t->place, args.vcpu);
	return 0;
}

/* Every exit of L2, behind its kvm_exit. */
SEC("raw_tp/kvm_nested_vmexit")
int vpmu_kvm_nested_vmexit(struct raw_args *ctx)
{
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t = find_current(tid);
	struct kvm_exit_args args;

	if (!t)
		return 0;
	args = kvm_exit_args(ctx, vpmu_kvm_exit_args);
	exit_nested(t, tid, kvm_exit_code(args.vcpu, args.isa));
	return 0;
}

SEC("raw_tp/kvm_entry")
int vpmu_kvm_entry(struct raw_args *ctx)
{
	__u64 now_ns = bpf_ktime_get_ns(), ns;
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t = find_current(tid);
	struct kvm_vcpu *vcpu = (void *)ctx->arg[0];

	if (!t)
		return 0;
	if (vpmu_flavour == VPMU_BPF_FLAVOUR_VMX && t->state == VPMU_BPF_EXIT_OUTSIDE) {
		if (wanted(VPMU_BPF_EXIT_RIP))
			note_rip(t, tid, vcpu);
		if (vpmu_chains && t->place.one_in)
			read_place(&t->place, vcpu);
	}
	if (exit_end(t, tid, now_ns, vpmu_trips && kvm_in_nested(vcpu), vpmu_trips, &ns) &&
	    vpmu_chains && t->place.one_in)
		send_sample(t, vcpu, VPMU_BPF_EXIT_ID(t->code, t->nested, t->isa, 0), ns);
	return 0;
}

SEC("raw_tp/kvm_userspace_exit")
int vpmu_kvm_userspace_exit(struct raw_args *ctx)
{
	__u64 now_ns = bpf_ktime_get_ns();
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t = find_current(tid);

	if (!t)
		return 0;
	exit_to_user(t, now_ns);
	/* Interrupted, its answer is that of the time before. */
	exit_detail(t, tid, VPMU_BPF_EXIT_USER,
		    (__s32)ctx->arg[1] < 0 ? ~0ULL : (__u32)ctx->arg[0]);
	return 0;
}

SEC("raw_tp/kvm_vcpu_wakeup")
int vpmu_kvm_vcpu_wakeup(struct raw_args *ctx)
{
	struct vpmu_bpf_exit_thread *t = find_current(current_tid());

	if (t)
		exit_halt_over(t, ctx->arg[0]);
	return 0;
}

/*
 * The thread that is left is current still. Nothing is known of the idle threads, whose number is
 * 0, and they are many.
 */
SEC("raw_tp/sched_switch")
int vpmu_sched_switch(struct raw_args *ctx)
{
	struct task_struct *next = (void *)ctx->arg[2];
	__u32 tid = current_tid(), next_tid = BPF_CORE_READ(next, pid);
	struct vpmu_bpf_exit_thread *t;
	__u64 now_ns = bpf_ktime_get_ns();

	t = tid ? find_thread(tid) : NULL;
	if (t) {
		/* Up to Linux 5.17 there is no fourth argument; "preempt" then tells most of it. */
		bool preempt = (bool)ctx->arg[0], dead = false;

		if (vpmu_sched_switch_args == 4) {
			__u64 state = RAW_ARG(ctx, 3);

			preempt |= state == TASK_RUNNING;
			dead = state & TASK_DEAD;
		}
		exit_switch_out(t, now_ns, !preempt, dead);
	}
	t = next_tid ? find_thread(next_tid) : NULL;
	if (t)
		exit_switch_in(t, now_ns);
	return 0;
}

/* ---- what an exit was about ---- */

/* Where there are no exits to be seen, events take their place: they are what is looked at closely. */
static __noinline int note_place(struct vpmu_bpf_exit_thread *t, __u32 tid, __u32 kind)
{
	struct kvm *kvm = NULL;
	struct kvm_vcpu *vcpu = current_vcpu(&kvm);

	if (!vcpu)
		return 0;
	if (wanted(VPMU_BPF_EXIT_RIP))
		note_rip(t, tid, vcpu);
	if (!vpmu_chains)
		return 0;
	t->place.is_read = 0;
	t->place.one_in = exit_sample_due(t, bpf_ktime_get_ns(), bpf_get_prandom_u32());
	if (t->place.one_in) {
		read_place(&t->place, vcpu);
		send_sample(t, vcpu, VPMU_BPF_EXIT_ID(0, 0, 0, kind + 1), 0);
	}
	return 0;
}

static __always_inline void note_on(struct vpmu_bpf_exit_thread *t, __u32 tid, __u32 kind, __u64 value)
{
	exit_detail(t, tid, kind, value);
	if (t->state == VPMU_BPF_EXIT_UNKNOWN && (vpmu_chains || wanted(VPMU_BPF_EXIT_RIP)))
		note_place(t, tid, kind);
}

/* A thread that is known, if @kind is wanted. */
static __always_inline void note(__u32 kind, __u64 value)
{
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t = find_current(tid);

	if (t)
		note_on(t, tid, kind, value);
}

SEC("raw_tp/kvm_msr")
int vpmu_kvm_msr(struct raw_args *ctx)
{
	__u64 value = (__u32)ctx->arg[1];

	if ((__u32)ctx->arg[0])
		value |= VPMU_BPF_EXIT_WRITE | (ctx->arg[2] ? 0 : VPMU_BPF_EXIT_ZERO);
	note(VPMU_BPF_EXIT_MSR, value);
	return 0;
}

SEC("raw_tp/kvm_pio")
int vpmu_kvm_pio(struct raw_args *ctx)
{
	note(VPMU_BPF_EXIT_PORT,
	     (ctx->arg[1] & 0xffff) | ((__u32)ctx->arg[0] ? VPMU_BPF_EXIT_WRITE : 0));
	return 0;
}

SEC("raw_tp/kvm_mmio")
int vpmu_kvm_mmio(struct raw_args *ctx)
{
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t = find_current(tid);

	if (t)
		exit_mmio(t, tid, (__u32)ctx->arg[0], ctx->arg[2]);
	return 0;
}

SEC("raw_tp/kvm_fast_mmio")
int vpmu_kvm_fast_mmio(struct raw_args *ctx)
{
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t = find_current(tid);

	if (t)
		exit_mmio(t, tid, KVM_TRACE_MMIO_WRITE, ctx->arg[0]);
	return 0;
}

SEC("raw_tp/kvm_cpuid")
int vpmu_kvm_cpuid(struct raw_args *ctx)
{
	note(VPMU_BPF_EXIT_CPUID, exit_cpuid_value((__u32)ctx->arg[0], (__u32)ctx->arg[1]));
	return 0;
}

SEC("raw_tp/kvm_hypercall")
int vpmu_kvm_hypercall(struct raw_args *ctx)
{
	note(VPMU_BPF_EXIT_HYPERCALL, ctx->arg[0]);
	return 0;
}

SEC("raw_tp/kvm_page_fault")
int vpmu_kvm_page_fault(struct raw_args *ctx)
{
	__u64 error;

	if (vpmu_kvm_page_fault_args == 3)
		error = RAW_ARG(ctx, 2);
	else
		error = RAW_ARG(ctx, 1);
	note(VPMU_BPF_EXIT_FAULT, (__u32)error);
	return 0;
}

SEC("raw_tp/kvm_inj_virq")
int vpmu_kvm_inj_virq(struct raw_args *ctx)
{
	note(VPMU_BPF_EXIT_VECTOR, (__u32)ctx->arg[0]);
	return 0;
}

/*
 * In the vCPU's own thread these are what its PMU raises, when the guest's PMU interrupts by NMI,
 * as Linux has it.
 */
SEC("raw_tp/kvm_apic_accept_irq")
int vpmu_kvm_apic_accept_irq(struct raw_args *ctx)
{
	__u32 tid = current_tid();
	struct vpmu_bpf_exit_thread *t;

	if ((__u16)ctx->arg[1] != APIC_DM_NMI)
		return 0;
	t = find_current(tid);
	if (t && exit_own_nmi(t))
		exit_detail(t, tid, VPMU_BPF_EXIT_VECTOR, VPMU_BPF_EXIT_NMI | 2);
	return 0;
}

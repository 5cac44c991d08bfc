/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM's tracepoints, as raw tracepoints hand over their arguments, and what those do not say but
 * the vCPU does. Arguments changed over time; which ones this kernel has is in its BTF: the type
 * btf_trace_NAME is a function of all of them, and user space (lib/host/tracepoint.h) counts how
 * many there are before it loads the program. Nothing here asks for a version.
 *
 *	kvm_exit		(vcpu, isa); up to Linux 5.15 (exit_reason, vcpu, isa): 0a62a0319abb ("KVM: x86: Get exit_reason as part
 *				of kvm_x86_ops.get_exit_info")
 *	kvm_entry		(vcpu), since 6.9 also force_immediate_exit
 *	kvm_nested_vmexit	as kvm_exit; an exit of a nested guest fires both
 *	kvm_userspace_exit	(reason, errno): KVM_RUN returns to the VMM
 *	kvm_vcpu_wakeup		(ns, waited, valid): the end of a halt; ns includes polling
 *	kvm_msr			(write, msr, data, exception)
 *	kvm_pio			(write, port, size, count, data)
 *	kvm_mmio		(type, bytes, gpa, val); a read that the VMM serves fires twice: as unsatisfied, then as read
 *	kvm_fast_mmio		(gpa): a write that only rings an eventfd; no kvm_mmio follows
 *	kvm_cpuid		(function, index, …)
 *	kvm_hypercall		(nr, …)
 *	kvm_page_fault		(vcpu, gpa, error_code); up to 5.19 without the vCPU
 *	kvm_inj_virq		(vector, …)
 *	kvm_apic_accept_irq	(APIC id, delivery mode, trigger mode, vector)
 *	sched_switch		(preempt, prev, next, prev_state); up to 5.17 without the state
 *
 * All but the scheduler's run in the vCPU's thread, between its kvm_exit and its kvm_entry; none
 * but the first two say which vCPU it is. So everything is kept by thread.
 */
#ifndef KVM_TRACE_H
#define KVM_TRACE_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kvm.bpf.h"

#define KVM_ISA_VMX 1
#define KVM_ISA_SVM 2

#define KVM_TRACE_MMIO_READ_UNSATISFIED 0
#define KVM_TRACE_MMIO_WRITE		2

#define APIC_DM_NMI 0x400

#define TASK_RUNNING 0
#define TASK_DEAD    0x80

struct raw_args {
	__u64 arg[0];
};

/*
 * One argument. The kernel attaches no program that could read more of them than there are; so
 * those that only some kernels have are read in branches of their own, which the verifier sees are
 * never taken. The barrier keeps the compiler from making one load of two branches.
 */
#define RAW_ARG(ctx, n)                                                                            \
	({                                                                                         \
		__u64 arg_ = (ctx)->arg[n];                                                        \
		asm volatile("" : "+r"(arg_));                                                     \
		arg_;                                                                              \
	})

/* What kvm_exit says, with @n_args arguments. */
struct kvm_exit_args {
	struct kvm_vcpu *vcpu;
	__u32 isa;
};

static __always_inline struct kvm_exit_args kvm_exit_args(const struct raw_args *ctx, __u32 n_args)
{
	struct kvm_exit_args args;

	if (n_args == 3) {
		args.vcpu = (void *)RAW_ARG(ctx, 1);
		args.isa = (__u32)RAW_ARG(ctx, 2);
	} else {
		args.vcpu = (void *)RAW_ARG(ctx, 0);
		args.isa = (__u32)RAW_ARG(ctx, 1);
	}
	return args;
}

/*
 * The exit reason (VMX) or exit code (SVM, its low 32 bits), where the processor's structures have
 * it.
 */
static __always_inline __u32 kvm_exit_code(struct kvm_vcpu *vcpu, __u32 isa)
{
	if (isa == KVM_ISA_SVM && bpf_core_type_exists(struct vcpu_svm))
		return BPF_CORE_READ((struct vcpu_svm *)vcpu, vmcb, control.exit_code);
	if (bpf_core_field_exists(struct vcpu_vmx___vt, vt))
		return BPF_CORE_READ((struct vcpu_vmx___vt *)vcpu, vt.exit_reason.full);
	if (bpf_core_field_exists(struct vcpu_vmx, exit_reason))
		return BPF_CORE_READ((struct vcpu_vmx *)vcpu, exit_reason.full);
	return ~0u;
}

/*
 * Whether the vCPU is with a guest of its guest: has just left it, at kvm_exit; is about to enter
 * it, at kvm_entry.
 */
static __always_inline bool kvm_in_nested(struct kvm_vcpu *vcpu)
{
	return BPF_CORE_READ(vcpu, stat.guest_mode) != 0;
}

#endif

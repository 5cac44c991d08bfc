/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registers of a vCPU that has left its guest, as far as they are in memory, and the walk along
 * the guest's stack from there.
 *
 * Where the registers are, once the processor has left the guest:
 *
 *		RIP		RBP		RSP		CR3		privilege
 *	SVM	arch.regs[]	arch.regs[]	VMCB		VMCB		VMCB
 *	VMX	(VMCS)		arch.regs[]	(VMCS)		(VMCS)		(VMCS)
 *	PVM	arch.regs[]	arch.regs[]	arch.regs[]	arch.cr3	vcpu_pvm.cpl
 *
 * What is in a VMCS is out of reach, but KVM keeps copies: of RIP and SS once perf asked for them,
 * which it does before this program runs since Linux 6.3 (0eed28220598, "perf/core: Call
 * perf_prepare_sample() before running BPF"); of CR3 only by chance. So on Intel most samples are
 * left to the kernel. The VMX part was written from the kernel's source and never run.
 */
#ifndef GUEST_REGS_BPF_H
#define GUEST_REGS_BPF_H

#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "guest_mem.bpf.h"
#include "guest_walk.h"

/* enum vpmu_bpf_flavour */
const volatile __u32 vpmu_flavour;

static __always_inline struct kvm_vcpu *current_vcpu(struct kvm **ret_kvm)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct hlist_node *first = BPF_CORE_READ(task, preempt_notifiers.first);
	struct kvm_vcpu *vcpu;
	struct mm_struct *mm;

	if (!first)
		return NULL;
	vcpu = (void *)first - bpf_core_field_offset(struct kvm_vcpu, preempt_notifier.link);
	*ret_kvm = BPF_CORE_READ(vcpu, kvm);
	mm = BPF_CORE_READ(*ret_kvm, mm);
	return mm && mm == BPF_CORE_READ(task, mm) ? vcpu : NULL;
}

/* Linux 7.2 gave RIP a field of its own. */
static __always_inline __u64 read_rip(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_arch *arch = (void *)vcpu + bpf_core_field_offset(struct kvm_vcpu, arch);

	if (bpf_core_field_exists(struct kvm_vcpu_arch___rip, rip))
		return BPF_CORE_READ((struct kvm_vcpu_arch___rip *)arch, rip);
	return BPF_CORE_READ(arch, regs[VCPU_REGS_RIP_INDEX]);
}

static __always_inline int read_svm(struct kvm_vcpu *vcpu, struct guest_walk *w)
{
	struct vcpu_svm *svm = (void *)vcpu;
	struct vmcb *vmcb = BPF_CORE_READ(svm, vmcb);

	if (!(BPF_CORE_READ(vmcb, save.cs.attrib) & VMCB_ATTRIB_LONG))
		return VPMU_BPF_MISS_MODE;
	w->cr3 = BPF_CORE_READ(vmcb, save.cr3);
	w->sp = BPF_CORE_READ(vmcb, save.rsp);
	w->sample.user = BPF_CORE_READ(vmcb, save.cpl) == 3;
	/*
	 * The kernel swaps GS with a shadow of it on its way in and out (swapgs): where its own is depends on where between the two
	 * the guest was, but only a kernel's is in the upper half. KVM saves both after each exit (VMSAVE).
	 */
	w->cpu_base = BPF_CORE_READ(vmcb, save.gs.base);
	if ((__s64)w->cpu_base >= 0)
		w->cpu_base = BPF_CORE_READ(vmcb, save.kernel_gs_base);
	if ((__s64)w->cpu_base >= 0)
		w->cpu_base = 0;
	return -1;
}

/*
 * What unwinding by tables takes. The stack pointer is in memory on SVM only: a guest's task is not known elsewhere either, so nobody
 * asks.
 */
static __always_inline void read_stack_registers(struct kvm_vcpu *vcpu, struct vpmu_bpf_stack *stack)
{
	struct vcpu_svm *svm = (void *)vcpu;

	stack->sp = 0;
	if (vpmu_flavour == VPMU_BPF_FLAVOUR_SVM && bpf_core_type_exists(struct vcpu_svm))
		stack->sp = BPF_CORE_READ(svm, vmcb, save.rsp);
	stack->bp = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RBP]);
	stack->ax = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RAX]);
	stack->dx = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RDX]);
	stack->di = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RDI]);
	stack->r10 = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_R10]);
	stack->r13 = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_R13]);
}

static __always_inline bool is_cached(__u32 available, __u64 reg)
{
	return available >> reg & 1;
}

static __always_inline int read_vmx(struct kvm_vcpu *vcpu, struct guest_walk *w)
{
	__u32 available = BPF_CORE_READ(vcpu, arch.regs_avail);
	struct vcpu_vmx *vmx = (void *)vcpu;
	__u32 segments = BPF_CORE_READ(vmx, segment_cache.bitmask);
	__u64 cr3 = 0;

	if (bpf_core_enum_value_exists(enum kvm_reg___vpmu, VCPU_EXREG_CR3___vpmu))
		cr3 = bpf_core_enum_value(enum kvm_reg___vpmu, VCPU_EXREG_CR3___vpmu);
	else if (bpf_core_enum_value_exists(enum kvm_reg___vpmu, VCPU_REG_CR3___vpmu))
		cr3 = bpf_core_enum_value(enum kvm_reg___vpmu, VCPU_REG_CR3___vpmu);
	if (!cr3 || !is_cached(available, cr3) ||
	    !is_cached(segments, VMX_SEGMENT_SS * 4 + VMX_SEGMENT_FIELD_AR))
		return VPMU_BPF_MISS_REGISTERS;
	if (bpf_core_enum_value_exists(enum kvm_reg___vpmu, VCPU_REGS_RIP___vpmu) &&
	    !is_cached(available, VCPU_REGS_RIP_INDEX))
		return VPMU_BPF_MISS_REGISTERS;
	w->cr3 = BPF_CORE_READ(vcpu, arch.cr3);
	w->sample.user = (BPF_CORE_READ(vmx, segment_cache.seg[VMX_SEGMENT_SS].ar) >> 5 & 3) == 3;
	return -1;
}

static __always_inline int read_generic(struct kvm_vcpu *vcpu, struct guest_walk *w)
{
	w->cr3 = BPF_CORE_READ(vcpu, arch.cr3);
	w->sp = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RSP]);
	if (bpf_core_field_exists(struct vcpu_pvm, cpl))
		w->sample.user = BPF_CORE_READ((struct vcpu_pvm *)vcpu, cpl) == 3;
	else
		w->sample.user = (__s64)w->sample.ip >= 0;
	return -1;
}

/* Returns -1 if everything is there, else an enum vpmu_bpf_miss. */
static __always_inline int read_registers(struct kvm_vcpu *vcpu, struct guest_walk *w)
{
	if (BPF_CORE_READ(vcpu, arch.guest_state_protected))
		return VPMU_BPF_MISS_PROTECTED;
	if (BPF_CORE_READ(vcpu, stat.guest_mode))
		return VPMU_BPF_MISS_NESTED;
	if (!(BPF_CORE_READ(vcpu, arch.efer) & EFER_LMA))
		return VPMU_BPF_MISS_MODE;
	w->levels = BPF_CORE_READ(vcpu, arch.cr4) & CR4_LA57 ? 5 : 4;
	w->cpu_base = 0;
	w->sp = 0;
	w->bp = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RBP]);
	w->sample.ip = read_rip(vcpu);
	if (vpmu_flavour == VPMU_BPF_FLAVOUR_SVM && bpf_core_type_exists(struct vcpu_svm))
		return read_svm(vcpu, w);
	if (vpmu_flavour == VPMU_BPF_FLAVOUR_VMX && bpf_core_field_exists(struct vcpu_vmx, segment_cache))
		return read_vmx(vcpu, w);
	return read_generic(vcpu, w);
}

/*
 * A guest of the guest was hit: registers are its own, and so is the privilege, which is all that is told of it. Its page tables lead to
 * addresses of the guest that runs it, and which of that one's tasks does is in the guest's VMCB or VMCS, which waits meanwhile.
 */
static __always_inline void mark_nested(struct kvm_vcpu *vcpu, struct guest_walk *w)
{
	w->sample.ip = VPMU_BPF_NESTED_IP;
	w->sample.end = VPMU_BPF_END_NESTED;
	w->sample.user = 0;
	if (vpmu_flavour == VPMU_BPF_FLAVOUR_SVM && bpf_core_type_exists(struct vcpu_svm))
		w->sample.user = BPF_CORE_READ((struct vcpu_svm *)vcpu, vmcb, save.cpl) == 3;
	else if (vpmu_flavour == VPMU_BPF_FLAVOUR_VMX && bpf_core_field_exists(struct vcpu_vmx, segment_cache))
		(void)read_vmx(vcpu, w);
	w->upper = !w->sample.user;
	w->cpu_base = 0;
}

/*
 * Whether the address that the guest left at is in memory. On VMX it is once KVM itself has asked
 * for it.
 */
static __always_inline bool kvm_rip_known(struct kvm_vcpu *vcpu, __u32 flavour)
{
	if (BPF_CORE_READ(vcpu, arch.guest_state_protected))
		return false;
	if (flavour != VPMU_BPF_FLAVOUR_VMX)
		return true;
	/* With a field of its own came another numbering of regs_avail. */
	return !bpf_core_field_exists(struct kvm_vcpu_arch___rip, rip) &&
	       is_cached(BPF_CORE_READ(vcpu, arch.regs_avail), VCPU_REGS_RIP_INDEX);
}

static __always_inline __u64 kvm_rip(struct kvm_vcpu *vcpu, __u32 flavour)
{
	if (flavour == VPMU_BPF_FLAVOUR_SVM && bpf_core_type_exists(struct vcpu_svm))
		return BPF_CORE_READ((struct vcpu_svm *)vcpu, vmcb, save.rip);
	return read_rip(vcpu);
}

/* For the walks of guest_walk.h: registers were read. */
static __always_inline void prepare_walk(struct kvm *kvm, struct guest_walk *w)
{
	w->upper = !w->sample.user && (__s64)w->sample.ip < 0;
	w->ip = w->sample.ip;
	w->memory.slots = BPF_CORE_READ(kvm, memslots[0]);
	for (int i = 0; i < N_SLOTS; i++)
		w->memory.seen[i].n_pages = 0;
}

static __always_inline void walk_guest(struct kvm *kvm, struct guest_walk *w)
{
	prepare_walk(kvm, w);
	guest_walk_frames(w);
}

#endif

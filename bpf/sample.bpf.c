/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest call chains. The kernel runs this program on each overflow of a sampling event that it is attached to. If the
 * interrupt hit the guest, the program walks the guest's stack, puts the sample with its chain into the ring
 * buffer and returns 0, which keeps the kernel from writing a record of its own. In every other case it
 * returns 1, and the kernel records the sample as if we were not here: host samples with the host's chain, guest samples that
 * we cannot read without any. So each sample is recorded exactly once, and there is nothing to pair afterwards.
 *
 * Which vCPU? The one whose thread was interrupted. KVM registers a preemption notifier with a thread for as long as the
 * thread has a vCPU loaded, and nobody else in the kernel uses these notifiers; the notifier is part of the
 * struct kvm_vcpu. So there is no table of threads to keep up to date, and vCPUs that come, go, or move to another thread
 * need no care. As a check, the address space of the virtual machine must be that of the thread: KVM itself
 * insists on it when the vCPU is run.
 *
 * Was it the guest that was hit? arch.handling_intr_from_guest says so, the way perf asks KVM: it is set while KVM handles an
 * interrupt or NMI that made the guest exit. Since Linux 6.9 perf also asks for the right one of the two, so that an NMI which hits
 * the host, while it handles a timer interrupt from the guest, is not taken for the guest's. We do so on all kernels.
 *
 * Where the registers are, at that moment:
 *
 *		RIP		RBP		CR3		privilege
 *	SVM	arch.regs[]	arch.regs[]	VMCB		VMCB
 *	VMX	(VMCS)		arch.regs[]	(VMCS)		(VMCS)
 *	PVM	arch.regs[]	arch.regs[]	arch.cr3	vcpu_pvm.cpl
 *
 * What is in a VMCS is out of reach, but KVM keeps copies: of RIP and SS once perf asked for them, which it does before this
 * program runs since Linux 6.3 (0eed28220598, "perf/core: Call perf_prepare_sample() before running BPF"); of CR3 only by
 * chance. So on Intel most samples are left to the kernel. The VMX part was written from the kernel's source and never run.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "guest_mem.bpf.h"
#include "guest_walk.h"

char LICENSE[] SEC("license") = "GPL";

/* enum vpmu_bpf_flavour */
const volatile __u32 vpmu_flavour;

/* Samples with chains. One buffer for all CPUs: what it cannot take is recorded without. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1024 * 1024);
} vpmu_samples SEC(".maps");

/* By enum vpmu_bpf_miss. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VPMU_BPF_MISS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} vpmu_misses SEC(".maps");

/* Too large for the stack. The kernel runs no second perf program on a CPU before the first is done. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guest_walk);
} vpmu_walks SEC(".maps");

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
	w->sample.user = BPF_CORE_READ(vmcb, save.cpl) == 3;
	return -1;
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
	w->bp = BPF_CORE_READ(vcpu, arch.regs[VCPU_REGS_RBP]);
	w->sample.ip = read_rip(vcpu);
	if (vpmu_flavour == VPMU_BPF_FLAVOUR_SVM && bpf_core_type_exists(struct vcpu_svm))
		return read_svm(vcpu, w);
	if (vpmu_flavour == VPMU_BPF_FLAVOUR_VMX && bpf_core_field_exists(struct vcpu_vmx, segment_cache))
		return read_vmx(vcpu, w);
	return read_generic(vcpu, w);
}

static __always_inline void count_miss(__u32 why)
{
	__u64 *n = bpf_map_lookup_elem(&vpmu_misses, &why);

	if (n)
		(*n)++;
}

SEC("perf_event")
int vpmu_sample(struct bpf_perf_event_data *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), ids = bpf_get_current_pid_tgid();
	struct kvm *kvm = NULL;
	struct kvm_vcpu *vcpu = current_vcpu(&kvm);
	struct guest_walk *w;
	__u32 zero = 0, n;
	int miss;

	if (!vcpu || BPF_CORE_READ(vcpu, arch.handling_intr_from_guest) !=
			     (cookie & VPMU_BPF_COOKIE_NMI ? KVM_HANDLING_NMI : KVM_HANDLING_IRQ))
		return 1;
	w = bpf_map_lookup_elem(&vpmu_walks, &zero);
	if (!w)
		return 1;
	miss = read_registers(vcpu, w);
	if (miss >= 0) {
		count_miss((__u32)miss);
		return 1;
	}
	w->sample.event_id = cookie & ~VPMU_BPF_COOKIE_NMI;
	w->sample.time_ns = bpf_ktime_get_ns();
	w->sample.period = ctx->sample_period;
	w->sample.pid = ids >> 32;
	w->sample.tid = (__u32)ids;
	w->sample.cpu = bpf_get_smp_processor_id();
	w->upper = !w->sample.user && (__s64)w->sample.ip < 0;
	w->memory.slots = BPF_CORE_READ(kvm, memslots[0]);
	for (int i = 0; i < N_SLOTS; i++)
		w->memory.seen[i].n_pages = 0;
	guest_walk_frames(w);
	n = w->sample.n_frames;
	if (n > VPMU_BPF_MAX_ADDRESSES - 1)
		return 1;
	if (bpf_ringbuf_output(&vpmu_samples, &w->sample, VPMU_BPF_SAMPLE_BYTES(n),
			       BPF_RB_NO_WAKEUP) < 0) {
		count_miss(VPMU_BPF_MISS_ROOM);
		return 1;
	}
	return 0;
}

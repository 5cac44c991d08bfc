/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM's structures, as far as we look into them. Only names count here: libbpf finds each field's place
 * in the running kernel by its BTF when it loads the program (CO-RE), and a field or type that is
 * not there can be asked for with bpf_core_field_exists(). All that differs between kernels is in this file.
 *
 * Linux 5.17 is the oldest that will do: handling_intr_from_guest ("KVM: x86: Drop current_vcpu for kvm_running_vcpu +
 * kvm_arch_vcpu variable"), memory slots in trees ("KVM: Keep memslots in tree-based structures instead of array-based
 * ones") and bpf_loop() ("bpf: Add bpf_loop helper") all came with it.
 */
#ifndef KVM_BPF_H
#define KVM_BPF_H

#include "vpmu_bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct rb_node {
	struct rb_node *rb_right, *rb_left;
};

struct rb_root {
	struct rb_node *rb_node;
};

struct mm_struct;

struct task_struct {
	int pid; /* of the thread, as the first PID namespace counts */
	struct mm_struct *mm;
	struct hlist_head preempt_notifiers;
};

struct preempt_notifier {
	struct hlist_node link;
};

typedef struct {
	long counter;
} atomic_long_t;

struct kvm_memory_slot {
	struct hlist_node id_node[2];
	struct rb_node gfn_node[2];
	__u64 base_gfn;
	unsigned long npages;
	unsigned long userspace_addr;
	__u32 flags;
};

struct kvm_memslots {
	struct hlist_head id_hash[128];
	atomic_long_t last_used_slot;
	struct rb_root gfn_tree;
	int node_idx;
};

struct kvm {
	struct mm_struct *mm;
	struct kvm_memslots *memslots[1];
};

struct kvm_vcpu_arch {
	unsigned long regs[17];
	__u32 regs_avail;
	unsigned long cr0, cr3, cr4;
	__u64 efer;
	__u8 handling_intr_from_guest;
	_Bool guest_state_protected;
};

/* The field since Linux 7.2; before, it is the register behind the general ones: VCPU_REGS_RIP. */
struct kvm_vcpu_arch___rip {
	unsigned long rip;
};

struct kvm_vcpu_stat {
	__u64 guest_mode; /* 1 while a nested guest runs; since Linux 5.14 */
};

struct kvm_vcpu {
	struct kvm *kvm;
	struct preempt_notifier preempt_notifier;
	struct kvm_vcpu_arch arch;
	struct kvm_vcpu_stat stat;
};

/* Vendors' structures begin with the struct kvm_vcpu (KVM asserts it), so they share its address. */
struct vmcb_seg {
	__u16 attrib;
	__u64 base;
};

struct vmcb_save_area {
	struct vmcb_seg cs, gs;
	__u64 kernel_gs_base;
	__u8 cpl;
	__u64 cr3;
	__u64 rip;
	__u64 rsp;
};

struct vmcb_control_area {
	__u32 exit_code; /* the low half; Linux 7.0 took the high one into it */
};

struct vmcb {
	struct vmcb_control_area control;
	struct vmcb_save_area save;
};

struct vcpu_svm {
	struct vmcb *vmcb;
};

struct vmx_segment {
	__u32 ar;
};

struct vmx_segment_cache {
	__u32 bitmask;
	struct vmx_segment seg[8];
};

union vmx_exit_reason {
	__u32 full;
};

struct vcpu_vmx {
	union vmx_exit_reason exit_reason;
	struct vmx_segment_cache segment_cache;
};

/* Since Linux 6.16 what VMX and TDX have in common is in a structure of its own, at the same place of either. */
struct vcpu_vt {
	union vmx_exit_reason exit_reason;
};

struct vcpu_vmx___vt {
	struct vcpu_vt vt;
};

struct vcpu_pvm {
	int cpl;
};

#pragma clang attribute pop

/* enum kvm_intr_type: what interrupted the guest. */
#define KVM_HANDLING_IRQ 1
#define KVM_HANDLING_NMI 2

/* Up to Linux 7.1; 7.2 renamed VCPU_EXREG_* to VCPU_REG_* and moved RIP out of regs[]. */
enum kvm_reg___vpmu {
	VCPU_REGS_RIP___vpmu,
	VCPU_EXREG_CR3___vpmu,
	VCPU_REG_CR3___vpmu,
};

#define VCPU_REGS_RAX	      0
#define VCPU_REGS_RDX	      2
#define VCPU_REGS_RSP	      4
#define VCPU_REGS_RBP	      5
#define VCPU_REGS_RDI	      7
#define VCPU_REGS_R10	      10
#define VCPU_REGS_R13	      13
#define VCPU_REGS_RIP_INDEX   16
#define EFER_LMA	      (1 << 10)
#define CR4_LA57	      (1 << 12)
#define VMCB_ATTRIB_LONG      (1 << 9) /* AMD APM vol. 2, "segment attributes in the VMCB" */
#define VMX_SEGMENT_SS	      2
#define VMX_SEGMENT_FIELD_AR  3 /* of four fields a segment in segment_cache.bitmask */
#define KVM_MEMSLOT_INVALID   (1 << 16)

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a virtual machine's memory is in the process that runs it, in KVM's own words: its memory slots. Run once, over the open files of one
 * process: the one that is called "kvm-vm" leads to the struct kvm. Slots are in a hash table by their number, which is easier to
 * walk here than the tree by address. The set may be swapped while we walk (kvm_swap_active_memslots()): what is read then
 * is checked by whoever uses it, as all that comes from a guest's hypervisor has to be.
 *
 * The vCPUs, whose files are called "kvm-vcpu:N", have had page tables: CR3 as KVM knows it, which may be long ago (on Intel processors it
 * stays in the VMCS mostly). A hint, where to look first; what is read for the wrong kind of processor is a wrong hint.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kvm.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define BUCKETS	  128 /* of id_hash: DECLARE_HASHTABLE(id_hash, 7) */
#define IN_BUCKET 16

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	void *private_data;
};

struct task_struct___files {
	int tgid;
};

struct bpf_iter__task_file {
	struct task_struct *task;
	struct file *file;
};

#pragma clang attribute pop

__s32 vpmu_tgid; /* whose files */

struct vpmu_bpf_slot vpmu_slots[VPMU_BPF_MAX_SLOTS];
__u32 vpmu_n_slots;
__u32 vpmu_n_machines;

__u64 vpmu_roots[VPMU_BPF_MAX_ROOTS];
__u32 vpmu_n_roots;

struct walk {
	struct kvm_memslots *slots;
	__u64 node_offset; /* of id_node[node_idx] in a slot */
};

static long walk_bucket(__u32 i, void *data)
{
	const struct walk *walk = data;
	struct hlist_node *node = NULL;
	__u64 at = bpf_core_field_offset(struct kvm_memslots, id_hash) + (__u64)i * sizeof(node);

	if (bpf_probe_read_kernel(&node, sizeof(node), (void *)walk->slots + at))
		return 0;
	for (int j = 0; j < IN_BUCKET && node; j++) {
		struct kvm_memory_slot *slot = (void *)node - walk->node_offset;
		__u32 n = vpmu_n_slots;

		if (n >= VPMU_BPF_MAX_SLOTS)
			return 1;
		vpmu_slots[n].base_gfn = BPF_CORE_READ(slot, base_gfn);
		vpmu_slots[n].n_pages = BPF_CORE_READ(slot, npages);
		vpmu_slots[n].hva = BPF_CORE_READ(slot, userspace_addr);
		vpmu_slots[n].flags = BPF_CORE_READ(slot, flags);
		vpmu_n_slots = n + 1;
		node = BPF_CORE_READ(node, next);
	}
	return 0;
}

/* Compares @n bytes, with the NUL or without: file names are all that tells KVM's files apart. */
static __always_inline bool is_called(struct file *file, const char *wanted, unsigned int n)
{
	const unsigned char *name = BPF_CORE_READ(file, f_path.dentry, d_name.name);
	char text[16] = {};

	if (bpf_probe_read_kernel(text, n, name))
		return false;
	for (unsigned int i = 0; i < n; i++)
		if (text[i] != wanted[i])
			return false;
	return true;
}

static __always_inline void add_root(__u64 cr3)
{
	__u32 n = vpmu_n_roots;

	if (!cr3 || n >= VPMU_BPF_MAX_ROOTS)
		return;
	vpmu_roots[n] = cr3;
	vpmu_n_roots = n + 1;
}

static __always_inline void list_roots(struct kvm_vcpu *vcpu)
{
	add_root(BPF_CORE_READ(vcpu, arch.cr3));
	if (bpf_core_type_exists(struct vcpu_svm)) {
		struct vcpu_svm *svm = (void *)vcpu;
		struct vmcb *vmcb = BPF_CORE_READ(svm, vmcb);

		add_root(BPF_CORE_READ(vmcb, save.cr3));
	}
}

SEC("iter/task_file")
int vpmu_list_slots(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct kvm_memslots *slots;
	struct walk walk = {};
	struct kvm *kvm;

	if (!task || !file || BPF_CORE_READ((struct task_struct___files *)task, tgid) != vpmu_tgid)
		return 0;
	if (is_called(file, "kvm-vcpu:", 9))
		list_roots(BPF_CORE_READ(file, private_data));
	if (!is_called(file, "kvm-vm", 7))
		return 0;
	if (vpmu_n_machines++)
		return 0; /* the same file once more, or a machine in it that we do not expect */
	kvm = BPF_CORE_READ(file, private_data);
	slots = BPF_CORE_READ(kvm, memslots[0]);
	walk.slots = slots;
	walk.node_offset = bpf_core_field_offset(struct kvm_memory_slot, id_node);
	if (BPF_CORE_READ(slots, node_idx) == 1)
		walk.node_offset += bpf_core_type_size(struct hlist_node);
	bpf_loop(BUCKETS, walk_bucket, &walk, 0);
	return 0;
}

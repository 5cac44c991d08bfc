/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest memory in the interrupt that takes a sample. It runs in the vCPU's thread, so the address space is that
 * of the VMM (QEMU), which has the guest's RAM mapped; KVM's memory slots say where. What guest_walk.h
 * calls is defined here.
 *
 * Slots lie in a tree by guest frame number. The set can be swapped while we look at it, and the old one be given
 * back: what we read is then anything, so steps are bounded, and a slot counts only if it holds the frame. The worst
 * that can come of it is a wrong page of the VMM's own memory, once.
 */
#ifndef GUEST_MEM_BPF_H
#define GUEST_MEM_BPF_H

#include "kvm.bpf.h"

#define PAGE_SHIFT    12
#define MAX_TREE_STEPS 40 /* of a red-black tree with 32767 nodes, which is as many as KVM allows */
#define N_SLOTS	      2	  /* most guests have their RAM in two: below and above 4 GiB */

struct guest_slot {
	__u64 base_gfn, n_pages, hva;
};

struct guest_memory {
	struct kvm_memslots *slots;
	struct guest_slot seen[N_SLOTS];
	__u64 next; /* of seen, to be replaced */
	struct rb_node *node;
	__u64 gfn;
};

static __always_inline bool slot_holds(const struct guest_slot *slot, __u64 gfn)
{
	return gfn - slot->base_gfn < slot->n_pages;
}

static __always_inline void read_slot(struct kvm_memory_slot *from, struct guest_slot *ret)
{
	ret->base_gfn = BPF_CORE_READ(from, base_gfn);
	ret->n_pages = BPF_CORE_READ(from, npages);
	ret->hva = BPF_CORE_READ(from, userspace_addr);
	if (BPF_CORE_READ(from, flags) & KVM_MEMSLOT_INVALID)
		ret->n_pages = 0;
}

struct slot_search {
	struct guest_memory *memory;
	struct guest_slot slot;
	__u64 node_offset; /* of gfn_node[node_idx] in a slot */
};

static long search_step(__u32 i, void *data)
{
	struct slot_search *search = data;
	struct guest_memory *memory = search->memory;
	struct rb_node *node = memory->node;

	(void)i;
	if (!node)
		return 1;
	read_slot((void *)node - search->node_offset, &search->slot);
	if (slot_holds(&search->slot, memory->gfn))
		return 1;
	memory->node = memory->gfn < search->slot.base_gfn ? BPF_CORE_READ(node, rb_left) :
							     BPF_CORE_READ(node, rb_right);
	return 0;
}

/* Not in line: the verifier has enough to do with the page walk. */
static __noinline __u64 find_slot(struct guest_memory *memory, __u64 gfn)
{
	struct slot_search search = {.memory = memory};
	struct kvm_memslots *slots = memory->slots;
	struct kvm_memory_slot *last = (void *)BPF_CORE_READ(slots, last_used_slot.counter);

	if (last)
		read_slot(last, &search.slot);
	if (!last || !slot_holds(&search.slot, gfn)) {
		search.slot.n_pages = 0;
		search.node_offset = bpf_core_field_offset(struct kvm_memory_slot, gfn_node);
		if (BPF_CORE_READ(slots, node_idx) == 1)
			search.node_offset += bpf_core_type_size(struct rb_node);
		memory->gfn = gfn;
		memory->node = BPF_CORE_READ(slots, gfn_tree.rb_node);
		bpf_loop(MAX_TREE_STEPS, search_step, &search, 0);
	}
	if (!slot_holds(&search.slot, gfn))
		return 0;
	memory->seen[memory->next++ & (N_SLOTS - 1)] = search.slot;
	return search.slot.hva + ((gfn - search.slot.base_gfn) << PAGE_SHIFT);
}

static __always_inline __u64 guest_hva(struct guest_memory *memory, __u64 gpa)
{
	__u64 gfn = gpa >> PAGE_SHIFT, offset = gpa & ((1 << PAGE_SHIFT) - 1), hva;

	for (int i = 0; i < N_SLOTS; i++) {
		const struct guest_slot *slot = &memory->seen[i];

		if (slot_holds(slot, gfn))
			return slot->hva + ((gfn - slot->base_gfn) << PAGE_SHIFT) + offset;
	}
	hva = find_slot(memory, gfn);
	return hva ? hva + offset : 0;
}

#define guest_copy(dst, n, hva) bpf_probe_read_user(dst, n, (const void *)(hva))
#define guest_loop(n, fn, ctx)	bpf_loop(n, fn, ctx, 0)
#define guest_walk_function	__noinline

#endif

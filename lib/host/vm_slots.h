/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory slots of a virtual machine: which guest-physical addresses are where in the address
 * space of the process that runs it. They are in the kernel's struct kvm, out of which a BPF
 * program reads them (bpf/slots.bpf.c): Linux 5.17 or later, CAP_BPF and CAP_PERFMON.
 */
#ifndef HOST_VM_SLOTS_H
#define HOST_VM_SLOTS_H

#include <stdint.h>
#include <sys/types.h>

#define VM_SLOTS_MAX 512
#define VM_ROOTS_MAX 64

struct vm_slot {
	uint64_t gpa, n_bytes, hva;
};

/*
 * Those that can be written to (no ROMs), by ascending addresses. Returns how many; -ENOENT: the
 * process has no machine; what loading the program gave, -EOPNOTSUPP where this library was built
 * without.
 */
int vm_slots_read(pid_t pid, struct vm_slot slots[VM_SLOTS_MAX], uint64_t cr3[VM_ROOTS_MAX],
		  unsigned int *ret_n_roots);

/*
 * To load the program takes some ten milliseconds, most of it for the kernel's types: as long as somebody keeps it, it is loaded once
 * for all reads of this process. Any thread.
 */
void vm_slots_keep(void);
void vm_slots_leave(void);

#endif

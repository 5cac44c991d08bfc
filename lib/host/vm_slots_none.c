/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Built without clang or bpftool. */
#include <errno.h>

#include "host/vm_slots.h"

int vm_slots_read(pid_t pid, struct vm_slot slots[VM_SLOTS_MAX], uint64_t cr3[VM_ROOTS_MAX],
		  unsigned int *ret_n_roots)
{
	(void)pid, (void)slots, (void)cr3, (void)ret_n_roots;
	return -EOPNOTSUPP;
}

void vm_slots_keep(void)
{
}

void vm_slots_leave(void)
{
}

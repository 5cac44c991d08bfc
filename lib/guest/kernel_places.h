/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the memory of a guest may be, in all the ways that it may be laid out; one of them has the kernel. Finding out where takes
 * rights over the hypervisor's process, and nothing that the guest wrote is looked at. Finding the kernel takes no rights, only reads.
 */
#ifndef GUEST_KERNEL_PLACES_H
#define GUEST_KERNEL_PLACES_H

#include "guest/kernel.h"
#include "host/vm_slots.h"

struct kernel_places {
	struct memory *memories[MEMORY_LAYOUTS_MAX];
	uint32_t n;
	bool told; /* by KVM, or by who gave a file: there is one, and it is right */
	uint64_t cr3[VM_ROOTS_MAX]; /* of vCPUs, a moment ago: the guest's own or not its kernel's */
	uint32_t n_roots;
};

void kernel_places_deinit(struct kernel_places *places);

/* Of the process that runs @guest, or of a file. Errors: -EACCES, -EPERM, -ESRCH, -ENOMEM, what opening gave. */
int kernel_places_of_process(const char *proc_path, const struct vpmu_guest_info *guest, struct kernel_places *ret);
/* To be asked at the end: the process was the one that was meant, and not one that was given its number since. */
bool kernel_places_same_process(const char *proc_path, const struct vpmu_guest_info *guest);
int kernel_places_of_file(const char *path, struct kernel_places *ret, struct vpmu_error *reterr);

/*
 * Finds the kernel in one of them, *ret_place, whose memory is then the kernel's. @k is zero, and is again if there is none: -ENOENT;
 * -ESRCH, -ENOMEM, what reading gave.
 */
int kernel_places_find(struct kernel_places *places, struct vpmu_kernel *k, uint32_t *ret_place);

#endif

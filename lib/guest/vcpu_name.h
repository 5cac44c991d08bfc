/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names that hypervisors give their vCPU threads. A name is a label, not a proof: any process may call
 * its threads so, and it is the caller who decides what else must be true (vmm.h).
 */
#ifndef GUEST_VCPU_NAME_H
#define GUEST_VCPU_NAME_H

#include <stdbool.h>
#include <stdint.h>

enum vcpu_name {
	VCPU_NAME_NONE,	    /* no vCPU's name */
	VCPU_NAME_QEMU_KVM, /* "CPU 3/KVM": QEMU with debug-threads=on, and those who follow it (StratoVirt) */
	VCPU_NAME_QEMU_TCG, /* "CPU 3/TCG"; "ALL CPUs/TCG", one thread for all, has index 0 */
	VCPU_NAME_OTHER,    /* "fc_vcpu 3" (Firecracker), "vcpu3" (Cloud Hypervisor), "crosvm_vcpu3",
			       "kvm-vcpu-3" (kvmtool), "EMT-3" (VirtualBox) */
};

/* @comm as in /proc/PID/task/TID/comm, without its newline. *ret_index is untouched for VCPU_NAME_NONE. */
enum vcpu_name vcpu_name_parse(const char *comm, uint32_t *ret_index);

#endif

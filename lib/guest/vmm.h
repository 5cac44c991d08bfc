/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One process, looked at from outside: does it run a guest, and which of its threads are the vCPUs?
 *
 * Names are free for the choosing, so a name alone makes no guest where better is to be had. What the kernel
 * vouches for:
 *
 *	/proc/PID/fd -> anon_inode:kvm-vcpu:N
 *		The process holds vCPU N. No file can be given such a name: paths start with '/', and other
 *		anonymous files have names of their own. Wants PTRACE_MODE_READ (own process, or CAP_SYS_PTRACE).
 *	/proc/PID/stat, /proc/PID/task/TID/stat, field 43, guest_time
 *		The thread has run guest code. Everybody may read it. 0 until the first tick that hits the guest.
 *	/proc/PID/task/TID/syscall, "16 FD 0xae80"
 *		The thread sleeps in ioctl(FD, KVM_RUN): a halted vCPU. Wants PTRACE_MODE_ATTACH.
 *
 * A process is a guest if it holds a vCPU's file; where its files may not be read, if it has guest time or a
 * thread called "CPU n/KVM". Emulated guests (TCG) hold no file that gives them away: there the program must
 * be called as QEMU is, and a thread "CPU n/TCG".
 *
 * Of a KVM guest's threads those with a vCPU's name are the vCPUs. If none has one (QEMU without
 * debug-threads=on), then those with guest time and those that sleep in KVM_RUN. As long as these are fewer than the
 * vCPU files, threads that are busy join them, the first one excepted (a KVM that emulates the guest's code accounts
 * no guest time); or all threads, if there are just as many. Else a vCPU is not known yet, and a later look
 * tells. The kernel's own workers inside the process are never vCPUs.
 */
#ifndef GUEST_VMM_H
#define GUEST_VMM_H

#include <vpmu/guest.h>

#include "guest/proc_pid.h"

/* A guest, and what its info points to. */
struct vmm {
	struct vpmu_guest_info info;
	char *name, *uuid, *exe;
	struct vpmu_vcpu_info *vcpus;
	int vcpu_fd; /* where the process holds a vCPU, or -1: spares the next look a walk over all its files */
	uint64_t n_threads; /* just before they were looked at */
	uint64_t inode;	    /* of /proc/PID, for who looks again (finder.c) */
};

void vmm_deinit(struct vmm *vmm);
/* 0 or -ENOMEM */
int vmm_copy(const struct vmm *vmm, struct vmm *ret_copy);

enum vmm_answer {
	VMM_NO,	    /* not a guest, or gone */
	VMM_SOON,   /* a virtual machine without vCPUs: it is being set up */
	VMM_HIDDEN, /* its files may not be read, and nothing else makes it a guest */
	VMM_YES,
};

/* Whether the program, or what it says its name is where that may not be seen, is called as QEMU is. Cheap. */
bool vmm_is_qemu(int dir_fd);

/*
 * Looks at the process behind @dir_fd (/proc/PID). @before: what was known of it, or NULL; vCPU threads without
 * a name keep the numbers that they had there. Returns an enum vmm_answer (*ret_vmm is filled for VMM_YES only)
 * or -ENOMEM.
 */
int vmm_probe(int dir_fd, pid_t pid, const struct task_stat *stat, const struct vpmu_guest_info *before,
	      struct vmm *ret_vmm);

/* The same for a process that was a guest when @before was made, without a walk over all its files. */
int vmm_probe_again(int dir_fd, const struct task_stat *stat, const struct vmm *before, struct vmm *ret_vmm);

#endif

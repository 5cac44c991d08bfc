/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files with KVM's statistics that a hypervisor keeps open for its vCPUs.
 *
 * A vCPU's statistics come out of a file that ioctl(KVM_GET_STATS_FD) on the vCPU's own file gives.
 * KVM lets nobody but the process that made the VM call that (kvm_vcpu_ioctl() compares the address
 * spaces: -EIO), not even with the vCPU's file in hand. But who has the file with the statistics
 * may read it, and QEMU keeps one open for each vCPU since 8.1, "anon_inode:kvm-vcpu-stats:N":
 * pidfd_getfd(2) hands out a copy. Wants PTRACE_MODE_ATTACH.
 *
 * Such a file keeps the VM's structures in the kernel alive (not the guest's memory): close it soon
 * after the guest's end.
 */
#ifndef GUEST_KVM_STATS_FD_H
#define GUEST_KVM_STATS_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A copy of the file of the vCPU with @index, which is at @rank when the guest's @n_vcpus are
 * sorted. KVM's numbers are not always QEMU's (they are APIC ids), but have the same order.
 * @proc_fd: /proc/PID.
 * Errors: -ENOENT (the process keeps no such file), -EACCES, -EPERM, -ESRCH, -EMFILE, -ENOSYS
 * (before Linux 5.6), -ENOMEM.
 */
int kvm_stats_fd_open(int proc_fd, pid_t pid, uint32_t index, size_t rank, size_t n_vcpus);

#endif

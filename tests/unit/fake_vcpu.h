/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests in the fake /proc (fake_proc.h) with one vCPU, whose scheduler's account is known. */
#ifndef TESTS_UNIT_FAKE_VCPU_H
#define TESTS_UNIT_FAKE_VCPU_H

#include <errno.h>

#include "fake_proc.h"

/* How long the vCPU has waited for a CPU. It ran for a second, in the guest. */
static void fake_vcpu_waited(int pid, unsigned long long wait_ns)
{
	char text[128];

	snprintf(text, sizeof(text), "1000000000 %llu 17\n", wait_ns);
	fake_text(fake_path("%d/task/%d/schedstat", pid, pid + 2), text);
}

__attribute__((unused)) static void fake_vcpu_process(int pid, const char *name, unsigned long long wait_ns)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "qemu-system-x86_64%c-name%cguest=%s,debug-threads=on%c", 0, 0, name, 0);

	fake_process(pid, "qemu-system-x86", 2);
	fake_write(fake_path("%d/cmdline", pid), text, (size_t)n);
	fake_link(pid, "exe", "/usr/bin/qemu-system-x86_64");
	fake_link(pid, "fd/9", "anon_inode:kvm-vcpu:0");
	fake_thread(pid, pid + 2, "CPU 0/KVM", 100);
	fake_text(fake_path("%d/task/%d/status", pid, pid + 2),
		  "Name:\tx\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t5\n");
	fake_vcpu_waited(pid, wait_ns);
}

__attribute__((unused)) static void fake_vcpu_end(int pid)
{
	CHECK_EQ(nftw(fake_path("%d", pid), fake_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

#endif

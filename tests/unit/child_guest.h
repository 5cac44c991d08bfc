/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child that is a guest as /proc shows it: it holds a virtual machine with a vCPU, which never runs. */
#ifndef TESTS_UNIT_CHILD_GUEST_H
#define TESTS_UNIT_CHILD_GUEST_H

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "test.h"

/* Says whether it has become one, and waits to be killed. */
static _Noreturn void child_guest_run(int say_fd)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ioctl(kvm, KVM_CREATE_VM, 0);
	char yes = kvm >= 0 && vm >= 0 && ioctl(vm, KVM_CREATE_VCPU, 0) >= 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
	if (write(say_fd, &yes, 1) == 1)
		pause();
	_exit(1);
}

static inline void child_guest_end(pid_t pid)
{
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

/* Skips the test where KVM cannot be used. */
static inline pid_t child_guest_new(void)
{
	int pipe_fds[2];
	char made = 0;
	pid_t pid;

	CHECK_EQ(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0)
		child_guest_run(pipe_fds[1]);
	CHECK_EQ(read(pipe_fds[0], &made, 1), 1);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	if (made)
		return pid;
	child_guest_end(pid);
	skip("KVM cannot create a machine here");
}

#endif

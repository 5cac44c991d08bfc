/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "guest/kvm_stats_fd.h"
#include "test.h"

/* A virtual machine of the test's own, whose vCPUs have these numbers. */
struct machine {
	int kvm, vm, vcpus[3], stats[3], proc;
};

static struct machine machine_open(const int numbers[3])
{
	struct machine m = { .kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC),
			     .proc = open("/proc/self", O_RDONLY) };

	if (m.kvm < 0)
		skip("/dev/kvm cannot be opened");
	m.vm = ioctl(m.kvm, KVM_CREATE_VM, 0);
	if (m.vm < 0)
		skip("no virtual machine can be made here");
	for (int i = 0; i < 3; i++) {
		m.vcpus[i] = ioctl(m.vm, KVM_CREATE_VCPU, numbers[i]);
		CHECK_CMP(m.vcpus[i], >=, 0);
		m.stats[i] = ioctl(m.vcpus[i], KVM_GET_STATS_FD, 0);
		if (m.stats[i] < 0)
			skip("KVM's statistics need Linux 5.14");
	}
	return m;
}

static void machine_close(struct machine *m)
{
	for (int i = 0; i < 3; i++) {
		close(m->stats[i]);
		close(m->vcpus[i]);
	}
	close(m->vm);
	close(m->kvm);
	close(m->proc);
}

/* Whose statistics these are: "kvm-PID/vcpu-N" behind the header. */
static int vcpu_of(int fd)
{
	char id[64] = "";

	if (fd == -EPERM || fd == -ENOSYS)
		skip("pidfd_getfd is not allowed here");
	if (fd < 0)
		FAIL("no file: %s", strerror(-fd));
	CHECK_CMP(pread(fd, id, sizeof(id) - 1, sizeof(struct kvm_stats_header)), >, 0);
	close(fd);
	CHECK(strstr(id, "/vcpu-"));
	return atoi(strstr(id, "/vcpu-") + 6);
}

TEST(vcpus_are_told_by_their_order_if_all_have_a_file)
{
	/* APIC ids of two packages with an odd number of cores leave gaps. */
	struct machine m = machine_open((const int[]){ 0, 5, 2 });

	CHECK_EQ(vcpu_of(kvm_stats_fd_open(m.proc, getpid(), 0, 0, 3)), 0);
	CHECK_EQ(vcpu_of(kvm_stats_fd_open(m.proc, getpid(), 1, 1, 3)), 2);
	CHECK_EQ(vcpu_of(kvm_stats_fd_open(m.proc, getpid(), 2, 2, 3)), 5);
	machine_close(&m);
}

TEST(else_by_their_number)
{
	struct machine m = machine_open((const int[]){ 0, 1, 2 });

	close(m.stats[1]);
	m.stats[1] = dup(m.stats[0]); /* a second file of vCPU 0 */
	CHECK_EQ(vcpu_of(kvm_stats_fd_open(m.proc, getpid(), 2, 2, 3)), 2);
	CHECK_EQ(kvm_stats_fd_open(m.proc, getpid(), 1, 1, 3), -ENOENT);
	machine_close(&m);
}

TEST(most_processes_have_none)
{
	int proc = open("/proc/self", O_RDONLY);
	int fd = kvm_stats_fd_open(proc, getpid(), 0, 0, 1);

	close(proc);
	if (fd == -ENOSYS)
		skip("pidfd_open is not available here");
	CHECK_EQ(fd, -ENOENT);
}

int main(void)
{
	return test_main();
}

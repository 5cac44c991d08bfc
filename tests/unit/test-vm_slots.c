/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtual machine of our own, with memory at known places. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "host/vm_slots.h"
#include "test.h"

static struct vm_slot slots[VM_SLOTS_MAX];

static void add_slot(int vm, uint32_t number, uint32_t flags, uint64_t gpa, void *at,
		     uint64_t n_bytes)
{
	struct kvm_userspace_memory_region region = {
		.slot = number,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = n_bytes,
		.userspace_addr = (uintptr_t)at,
	};

	CHECK_EQ(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), 0);
}

/* Skips where that is not possible. */
static int read_own(void)
{
	uint64_t cr3[VM_ROOTS_MAX];
	unsigned int n_roots;
	int n = vm_slots_read(getpid(), slots, cr3, &n_roots);

	if (n == -EOPNOTSUPP)
		skip("built without BPF programs");
	if (n == -EPERM || n == -EACCES)
		skip("no right to load BPF programs");
	return n;
}

TEST(slots_are_where_they_were_put)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;
	uint8_t *ram;

	if (kvm < 0)
		skip("no /dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		skip("KVM makes no virtual machine");
	ram = mmap(NULL, 0x30000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(ram != MAP_FAILED);
	add_slot(vm, 7, 0, 0x100000000, ram + 0x10000, 0x20000);
	add_slot(vm, 2, 0, 0, ram, 0x8000);
	add_slot(vm, 3, KVM_MEM_READONLY, 0xf0000, ram + 0x8000, 0x8000);
	for (uint32_t i = 0; i < 40; i++) /* several in one bucket, and more numbers than buckets */
		add_slot(vm, 10 + i * 16, 0, 0x200000000 + i * 0x2000, ram + i * 0x1000, 0x1000);

	CHECK_EQ(read_own(), 42);
	CHECK_EQ(slots[0].gpa, 0);
	CHECK_EQ(slots[0].n_bytes, 0x8000);
	CHECK_EQ(slots[0].hva, (uintptr_t)ram);
	CHECK_EQ(slots[1].gpa, 0x100000000);
	CHECK_EQ(slots[1].n_bytes, 0x20000);
	CHECK_EQ(slots[1].hva, (uintptr_t)ram + 0x10000);
	CHECK_EQ(slots[41].gpa, 0x200000000 + 39 * 0x2000);
	CHECK_EQ(slots[41].hva, (uintptr_t)ram + 39 * 0x1000);

	add_slot(vm, 2, 0, 0, ram, 0); /* goes: the other set of slots is the active one now */
	CHECK_EQ(read_own(), 41);
	CHECK_EQ(slots[0].gpa, 0x100000000);
	close(vm);
	close(kvm);
}

/* What one read left is not what the next one finds. */
TEST(reads_share_the_program_and_nothing_else)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;
	uint8_t *ram;

	if (kvm < 0)
		skip("no /dev/kvm");
	vm_slots_keep();
	CHECK_EQ(read_own(), -ENOENT);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		skip("KVM makes no virtual machine");
	ram = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(ram != MAP_FAILED);
	add_slot(vm, 1, 0, 0x1000, ram, 0x8000);
	CHECK_EQ(read_own(), 1);
	CHECK_EQ(slots[0].gpa, 0x1000);
	close(vm);
	CHECK_EQ(read_own(), -ENOENT);
	vm_slots_leave();
	close(kvm);
}

TEST(a_process_without_a_machine_has_none)
{
	CHECK_EQ(read_own(), -ENOENT);
}

int main(void)
{
	return test_main();
}

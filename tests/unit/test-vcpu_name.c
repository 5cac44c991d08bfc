/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/vcpu_name.h"
#include "test.h"

#define UNTOUCHED 12345678u

static void check_name(const char *comm, enum vcpu_name name, uint32_t index)
{
	uint32_t seen = UNTOUCHED;

	if (vcpu_name_parse(comm, &seen) != name || seen != index)
		FAIL("'%s': kind %d, index %u", comm, vcpu_name_parse(comm, &seen), seen);
}

TEST(hypervisors_name_their_vcpu_threads)
{
	check_name("CPU 0/KVM", VCPU_NAME_QEMU_KVM, 0);
	check_name("CPU 4095/KVM", VCPU_NAME_QEMU_KVM, 4095);
	check_name("CPU 13/TCG", VCPU_NAME_QEMU_TCG, 13);
	check_name("ALL CPUs/TCG", VCPU_NAME_QEMU_TCG, 0);
	check_name("fc_vcpu 3", VCPU_NAME_OTHER, 3);
	check_name("vcpu7", VCPU_NAME_OTHER, 7);
	check_name("crosvm_vcpu11", VCPU_NAME_OTHER, 11);
	check_name("kvm-vcpu-2", VCPU_NAME_OTHER, 2);
	check_name("VCPU:5", VCPU_NAME_OTHER, 5);
	check_name("EMT-1", VCPU_NAME_OTHER, 1);
}

TEST(other_threads_are_not_vcpus)
{
	static const char *const names[] = {
		"", "CPU ", "CPU /KVM", "CPU 0", "CPU 0/KVMx", "CPU 0/HAX", "CPU -1/KVM", "CPU 123456/KVM",
		"CPU 0 /KVM", "vcpu", "vcpu ", "vcpu 1a", "vcpu  1", "vcpu_threads", "vcpu99999999999", "EMT-",
		"EMTWatchdog", "qemu-system-x86", "IO mon_iothread", "vnc_worker", "ALL CPUs/KVM",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_name(names[i], VCPU_NAME_NONE, UNTOUCHED);
}

int main(void)
{
	return test_main();
}

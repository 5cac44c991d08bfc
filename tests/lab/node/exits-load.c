/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A load whose exits are known, for a Linux guest: rounds of CPUID, writes to a port that no device answers at, reads of an MSR that KVM
 * keeps for itself, and sleep.
 */
#include <cpuid.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PORT	  0x2f0
#define APIC_BASE 0x1b

int main(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int msr = open("/dev/cpu/0/msr", O_RDONLY);
	int port = open("/dev/port", O_WRONLY);

	if (msr < 0 || port < 0) {
		perror("exits-load");
		return 1;
	}
	for (;;) {
		unsigned int a, b, c, d;
		uint64_t value;

		for (int i = 0; i < 1009; i++)
			__cpuid(0x40000000, a, b, c, d);
		for (int i = 0; i < 503; i++)
			if (pwrite(port, "", 1, PORT) != 1)
				perror("outb");
		for (int i = 0; i < 211; i++)
			if (pread(msr, &value, sizeof(value), APIC_BASE) != sizeof(value))
				perror("rdmsr");
		nanosleep(&pause, NULL);
	}
}

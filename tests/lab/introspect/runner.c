/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process of the guest that never leaves the last CPU, and is nearly always in a function of the C library, which it is linked
 * against at run time. Prints its pid and that CPU.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char text[65536];

int main(void)
{
	int cpu = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	cpu_set_t one;
	pid_t pid = fork();

	if (pid) {
		printf("%d %d\n", pid, cpu);
		return pid < 0;
	}
	fclose(stdout);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	prctl(PR_SET_NAME, "runner", 0, 0, 0);
	for (;;)
		memfrob(text, sizeof(text));
}

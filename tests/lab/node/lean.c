/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process in a guest that keeps no frame pointers, as most do not, and whose call tree is known: recursion, a library that calls back,
 * system calls made by a library, a signal handler, the vDSO. It runs for ever; check-lean.py knows the tree.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define FUNCTION static __attribute__((noinline, noclone))
#define DEPTH	 8

static volatile unsigned long turns;
static char buffer[65536];
static int zero;

FUNCTION void spin(void)
{
	for (int i = 0; i < 20000; i++)
		turns++;
}

/* Frames of a size that only the table knows. */
FUNCTION unsigned long descend(unsigned int depth)
{
	char room[24 + DEPTH * 16];

	memset(room, (int)depth, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	if (depth > 1)
		turns += descend(depth - 1);
	else
		spin();
	return turns + (unsigned long)room[turns % sizeof(room)];
}

FUNCTION void descend_outer(void)
{
	turns += descend(DEPTH);
}

FUNCTION int compare(const void *a, const void *b)
{
	const unsigned int *x = a, *y = b;

	for (int i = 0; i < 20; i++)
		turns++;
	return *x < *y ? -1 : *x > *y;
}

FUNCTION void sort_outer(void)
{
	unsigned int numbers[300];

	for (unsigned int i = 0; i < 300; i++)
		numbers[i] = i * 2654435761u;
	qsort(numbers, 300, sizeof(*numbers), compare);
	turns += numbers[0];
}

FUNCTION void read_inner(void)
{
	for (int i = 0; i < 4; i++)
		turns += (unsigned long)read(zero, buffer, sizeof(buffer));
}

FUNCTION void read_outer(void)
{
	read_inner();
	turns++;
}

FUNCTION void handler(int number)
{
	spin();
	turns += (unsigned long)number;
}

FUNCTION void signal_outer(void)
{
	raise(SIGUSR1);
	turns++;
}

/* Mostly in the kernel's own piece of each process (vDSO). */
FUNCTION void clock_outer(void)
{
	struct timespec now;

	for (int i = 0; i < 1000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		turns += (unsigned long)now.tv_nsec;
	}
}

int main(void)
{
	zero = open("/dev/zero", O_RDONLY);
	prctl(PR_SET_NAME, "lean");
	signal(SIGUSR1, handler);
	/* Of each kind there is enough not to be missed among a hundred samples. */
	for (;;) {
		for (int i = 0; i < 8; i++)
			descend_outer();
		sort_outer();
		read_outer();
		signal_outer();
		clock_outer();
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process in a guest that spends its time in the kernel, and that knows who asks for it: reads, page faults, futexes, each of
 * them from a function of its own, which is called by another. System calls are made where the frame pointer is that of the function's: a
 * library's would be missing in the chain, and with it the caller. It tells "CALLERS pid", then runs for ever.
 */
#include <linux/futex.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <unistd.h>

#define PAGES 64
#define PAGE  4096

static char buffer[PAGES * PAGE] __attribute__((aligned(PAGE)));
static int zero, word;
static volatile unsigned long turns;

static inline long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

/* Has the function keep a frame pointer although it calls nobody. */
#define KEEP_FRAME() (turns += (unsigned long)__builtin_frame_address(0) != 0)

#define OUTER(name)                                                                                \
	static __attribute__((noinline)) void name##_outer(void)                                  \
	{                                                                                          \
		name##_inner();                                                                    \
		turns++;                                                                           \
	}

static __attribute__((noinline)) void read_inner(void)
{
	KEEP_FRAME();
	for (int i = 0; i < 16; i++)
		turns += (unsigned long)call(SYS_read, zero, (long)buffer, sizeof(buffer));
}
OUTER(read)

static __attribute__((noinline)) void fault_inner(void)
{
	KEEP_FRAME();
	call(SYS_madvise, (long)buffer, sizeof(buffer), MADV_DONTNEED);
	for (int i = 0; i < PAGES; i++)
		buffer[i * PAGE] = 1;
	turns++;
}
OUTER(fault)

static __attribute__((noinline)) void futex_inner(void)
{
	KEEP_FRAME();
	for (int i = 0; i < 256; i++)
		turns += (unsigned long)call(SYS_futex, (long)&word, FUTEX_WAKE, 1);
}
OUTER(futex)

int main(void)
{
	zero = open("/dev/zero", O_RDONLY);
	prctl(PR_SET_NAME, "callers");
	printf("CALLERS %d\n", getpid());
	fflush(stdout);
	for (;;) {
		read_outer();
		for (int i = 0; i < 8; i++)
			fault_outer();
		futex_outer();
	}
}

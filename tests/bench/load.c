/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A varied load to be profiled: 256 functions that call one another on 40 paths, up to 8 deep, and
 * do some work, system calls or page faults at the end of the path. Its samples fall into tens of
 * thousands of distinct stacks, as a server's do, where a loop's would be a handful.
 * usage: load CPU_SECONDS [SEED]
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t state;
static volatile uint64_t sink;
static char pages[1 << 20], copy[1 << 20];

static uint32_t draw(uint32_t below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 33) % below;
}

static void touch_new_pages(void)
{
	char *p = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	for (size_t i = 0; i < 1 << 16; i += 4096)
		p[i] = 1;
	munmap(p, 1 << 16);
}

static void read_proc(void)
{
	static const char *const files[] = { "/proc/self/stat", "/proc/self/maps", "/proc/meminfo",
					     "/proc/loadavg" };
	int fd = open(files[draw(4)], O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		sink += (uint64_t)read(fd, pages, 4096);
		close(fd);
	}
}

static void copy_through_a_pipe(void)
{
	int fds[2];

	if (pipe(fds) < 0)
		return;
	if (write(fds[1], pages, 4096) == 4096)
		sink += (uint64_t)read(fds[0], copy, 4096);
	close(fds[0]);
	close(fds[1]);
}

static void work(void)
{
	struct stat st;

	switch (draw(48)) {
	case 0:
		touch_new_pages();
		break;
	case 1:
		read_proc();
		break;
	case 2:
		copy_through_a_pipe();
		break;
	case 3:
		sink += (uint64_t)stat("/usr/lib", &st);
		break;
	case 4:
	case 5:
		memcpy(copy, pages, draw(sizeof(copy)));
		break;
	default:
		for (uint32_t n = draw(20000); n; n--)
			sink = sink * 31 + n;
	}
}

typedef void step(int depth);
static step *const steps[256];
static uint32_t path; /* which functions lie on the way down */

static inline void go_on(int depth)
{
	if (depth <= 0)
		work();
	else
		steps[(path * 37 + (uint32_t)depth * 11) & 255](depth - 1);
	sink++; /* no tail call: the caller is to be seen on the stack */
}

#define STEP(n) static __attribute__((noinline)) void step_##n(int depth) { go_on(depth); sink += 0x##n; }
#define STEPS(h)                                                                                   \
	STEP(h##0) STEP(h##1) STEP(h##2) STEP(h##3) STEP(h##4) STEP(h##5) STEP(h##6) STEP(h##7)    \
	STEP(h##8) STEP(h##9) STEP(h##a) STEP(h##b) STEP(h##c) STEP(h##d) STEP(h##e) STEP(h##f)
#define NAME(n) step_##n
#define NAMES(h)                                                                                   \
	NAME(h##0), NAME(h##1), NAME(h##2), NAME(h##3), NAME(h##4), NAME(h##5), NAME(h##6),        \
	NAME(h##7), NAME(h##8), NAME(h##9), NAME(h##a), NAME(h##b), NAME(h##c), NAME(h##d),        \
	NAME(h##e), NAME(h##f)

STEPS(0) STEPS(1) STEPS(2) STEPS(3) STEPS(4) STEPS(5) STEPS(6) STEPS(7)
STEPS(8) STEPS(9) STEPS(a) STEPS(b) STEPS(c) STEPS(d) STEPS(e) STEPS(f)

static step *const steps[256] = {
	NAMES(0), NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6), NAMES(7),
	NAMES(8), NAMES(9), NAMES(a), NAMES(b), NAMES(c), NAMES(d), NAMES(e), NAMES(f),
};

int main(int argc, char **argv)
{
	clock_t end = (clock_t)((argc > 1 ? atof(argv[1]) : 1) * CLOCKS_PER_SEC);

	state = argc > 2 ? (uint64_t)atoll(argv[2]) + 88172645463325252u : 88172645463325252u;
	while (clock() < end)
		for (int i = 0; i < 100; i++) {
			/* Few enough that a stack is seen more than once. */
			path = draw(40);
			go_on(1 + (int)path % 8);
		}
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A child that touches new pages of its own, so many at a time as it is told, and sleeps in
 * between: page faults that can be counted to the last one, and a sleep for each order.
 */
#ifndef TESTS_UNIT_TOUCHER_H
#define TESTS_UNIT_TOUCHER_H

#include <sys/mman.h>

#include "busy.h"

struct toucher {
	pid_t pid;
	int order, done;
};

#define PAGES_MAX 4096

/*
 * Unsanitized: a sanitizer would look into its shadow of each page first, and that has pages too.
 */
__attribute__((no_sanitize("address", "undefined"))) static inline _Noreturn void
touch_pages(int order, int done)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n;
	char *memory = mmap(NULL, PAGES_MAX * page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || madvise(memory, PAGES_MAX * page, MADV_NOHUGEPAGE) < 0)
		_exit(1);
	while (read(order, &n, sizeof(n)) == sizeof(n)) {
		for (; n; n--, memory += page)
			*(volatile char *)memory = 1;
		if (write(done, "", 1) != 1)
			break;
	}
	_exit(0);
}

static inline void toucher_touch(const struct toucher *t, size_t n_pages)
{
	char c;

	CHECK_EQ(write(t->order, &n_pages, sizeof(n_pages)), sizeof(n_pages));
	CHECK_EQ(read(t->done, &c, 1), 1);
}

/* Until it sleeps, after its answer. */
static inline void toucher_wait(const struct toucher *t)
{
	wait_for_sleep(t->pid);
}

static inline struct toucher toucher_start(void)
{
	struct toucher t;
	int order[2], done[2];

	CHECK_EQ(pipe(order), 0);
	CHECK_EQ(pipe(done), 0);
	t.pid = fork();
	CHECK(t.pid >= 0);
	if (t.pid == 0) {
		close(order[1]);
		touch_pages(order[0], done[1]);
	}
	close(order[0]);
	close(done[1]);
	t.order = order[1];
	t.done = done[0];
	toucher_touch(&t, 3); /* so that its own code and stack are there */
	toucher_wait(&t);
	return t;
}

static inline void toucher_end(struct toucher *t)
{
	close(t->order);
	waitpid(t->pid, NULL, 0);
	close(t->done);
}

#endif

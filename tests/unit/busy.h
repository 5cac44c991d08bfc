/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thread that does nothing but run: something to sample. */
#ifndef TESTS_UNIT_BUSY_H
#define TESTS_UNIT_BUSY_H

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "test.h"

struct busy {
	pthread_t thread;
	_Atomic bool stop;
	_Atomic pid_t tid;
};

static void *spin(void *data)
{
	struct busy *busy = data;

	busy->tid = (pid_t)syscall(SYS_gettid);
	while (!busy->stop)
		;
	return NULL;
}

static inline void busy_start(struct busy *busy)
{
	*busy = (struct busy){};
	CHECK_EQ(pthread_create(&busy->thread, NULL, spin, busy), 0);
	while (!busy->tid)
		;
}

static inline long clock_ms(clockid_t clock)
{
	struct timespec t;

	CHECK_EQ(clock_gettime(clock, &t), 0);
	return (long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void busy_stop(struct busy *busy)
{
	busy->stop = true;
	pthread_join(busy->thread, NULL);
}

static inline void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Until the thread has had so much of a processor, which on a busy machine takes longer. */
static inline void busy_run_ms(const struct busy *busy, long ms)
{
	clockid_t clock;
	long begin;

	CHECK_EQ(pthread_getcpuclockid(busy->thread, &clock), 0);
	begin = clock_ms(clock);
	WAIT_UNTIL(clock_ms(clock) - begin >= ms, pause_ms(5));
}

/* This thread has so much of a processor. */
static inline void burn_ms(long ms)
{
	long begin = clock_ms(CLOCK_THREAD_CPUTIME_ID);

	while (clock_ms(CLOCK_THREAD_CPUTIME_ID) - begin < ms)
		;
}

/* How often a thread of ours went to sleep, by the kernel's own word: one that only spins may have to wait for a page, too. */
static inline unsigned long sleeps_of(pid_t tid)
{
	char path[64], line[128];
	unsigned long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	f = fopen(path, "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f) && sscanf(line, "voluntary_ctxt_switches: %lu", &n) != 1)
		;
	fclose(f);
	return n;
}

/* Until a process or thread sleeps, "/proc/ID/stat" says. */
static inline void wait_for_sleep(pid_t id)
{
	char path[64], text[512] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)id);
	WAIT_UNTIL(strstr(text, ") S"), {
		FILE *f = fopen(path, "re");

		pause_ms(1);
		CHECK(f && fgets(text, sizeof(text), f));
		fclose(f);
	});
}

#endif

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

static inline void busy_stop(struct busy *busy)
{
	busy->stop = true;
	pthread_join(busy->thread, NULL);
}

static inline void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

#endif

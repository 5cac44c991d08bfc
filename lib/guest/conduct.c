/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>
#include <time.h>

#include "guest/conduct.h"
#include "util/log.h"
#include "util/macro.h"

#define PAUSE_NS     1000000000ull
#define PAUSE_MAX_NS 300000000000ull
/* What a session's thread asks gets this part of its time in the long run, and may be so far ahead. */
#define TIME_PART   10
#define DEBT_MAX_NS 1000000000ull
/* Of more guests those are forgotten that were not heard of for longest. */
#define GUESTS_MAX 1024

struct conduct {
	pid_t guest;
	uint64_t used_ns; /* 0: nobody's */
	uint64_t failed_ns, pause_ns, not_before_ns;
	uint64_t debt_ns, debt_at_ns;
};

static struct conduct all[GUESTS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* With the lock held. */
static struct conduct *conduct_of(pid_t guest, uint64_t now)
{
	struct conduct *oldest = all;

	for (size_t i = 0; i < GUESTS_MAX; i++) {
		if (all[i].used_ns && all[i].guest == guest) {
			all[i].used_ns = now;
			return &all[i];
		}
		if (all[i].used_ns < oldest->used_ns)
			oldest = &all[i];
	}
	*oldest = (struct conduct){.guest = guest, .used_ns = now, .debt_at_ns = now};
	return oldest;
}

bool conduct_failed(pid_t guest, const char *what)
{
	struct conduct *conduct;
	bool is_first;
	uint64_t now;

	pthread_mutex_lock(&lock);
	now = now_ns();
	conduct = conduct_of(guest, now);
	if (now - conduct->failed_ns > 2 * PAUSE_MAX_NS)
		conduct->pause_ns = 0;
	is_first = !conduct->pause_ns;
	conduct->pause_ns = conduct->pause_ns ? MIN(conduct->pause_ns * 2, PAUSE_MAX_NS) : PAUSE_NS;
	conduct->failed_ns = now;
	conduct->not_before_ns = now + conduct->pause_ns;
	pthread_mutex_unlock(&lock);
	if (is_first)
		log_warn("%s", what);
	else
		log_debug("%s", what);
	return is_first;
}

bool conduct_is_paused(pid_t guest)
{
	uint64_t now;
	bool paused;

	pthread_mutex_lock(&lock);
	now = now_ns();
	paused = now < conduct_of(guest, now)->not_before_ns;
	pthread_mutex_unlock(&lock);
	return paused;
}

bool conduct_may_ask(pid_t guest)
{
	struct conduct *conduct;
	uint64_t now, earned_ns;
	bool may;

	pthread_mutex_lock(&lock);
	now = now_ns();
	conduct = conduct_of(guest, now);
	earned_ns = (now - conduct->debt_at_ns) / TIME_PART;
	conduct->debt_at_ns = now; /* who asks in vain earns no time twice */
	conduct->debt_ns -= MIN(conduct->debt_ns, earned_ns);
	may = conduct->debt_ns < DEBT_MAX_NS;
	pthread_mutex_unlock(&lock);
	return may;
}

void conduct_took(pid_t guest, uint64_t ns)
{
	pthread_mutex_lock(&lock);
	conduct_of(guest, now_ns())->debt_ns += ns;
	pthread_mutex_unlock(&lock);
}

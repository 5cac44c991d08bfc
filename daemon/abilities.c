/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "abilities.h"
#include "util/error.h"
#include "util/vec.h"

#define GOOD_FOR_NS UINT64_C(5000000000)

DEFINE_CLEANUP(struct vpmu_host *, vpmu_host_free)

struct waiter {
	abilities_fn fn;
	void *data;
};

/* Outlives its owner while a job is under way. */
struct abilities {
	struct jobs *jobs;
	struct vpmu_host *host;
	uint64_t found_ns;
	VEC(struct waiter) waiters;
	bool busy, freed;
	/* the job's */
	struct vpmu_host *found;
	struct vpmu_error error;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void answer(struct abilities *abilities, const struct vpmu_host *host, const struct vpmu_error *error)
{
	/* Whoever is called may ask again. */
	__typeof__(abilities->waiters) waiters = abilities->waiters;

	abilities->waiters = (__typeof__(abilities->waiters)){};
	vec_for_each(waiter, &waiters)
		waiter->fn(host, error, waiter->data);
	vec_free(&waiters);
}

static void destroy(struct abilities *abilities)
{
	vpmu_host_free(abilities->host);
	vpmu_host_free(abilities->found);
	vec_free(&abilities->waiters);
	free(abilities);
}

static void find_out(void *data)
{
	struct abilities *abilities = data;

	(void)vpmu_host_new(NULL, &abilities->found, &abilities->error);
}

static void found(void *data, bool cancelled)
{
	struct abilities *abilities = data;

	abilities->busy = false;
	if (abilities->freed) {
		destroy(abilities);
		return;
	}
	if (cancelled)
		error_set(&abilities->error, -ECANCELED, "vpmud ends");
	if (abilities->found) {
		vpmu_host_free(abilities->host);
		abilities->host = take_ptr(abilities->found);
		abilities->found_ns = now_ns();
		answer(abilities, abilities->host, NULL);
	} else {
		answer(abilities, NULL, &abilities->error);
	}
}

int abilities_new(struct jobs *jobs, struct abilities **ret_abilities, struct vpmu_error *reterr)
{
	struct abilities *abilities = calloc(1, sizeof(*abilities));

	if (!abilities)
		return error_oom(reterr);
	abilities->jobs = jobs;
	*ret_abilities = abilities;
	return 0;
}

struct abilities *abilities_free(struct abilities *abilities)
{
	struct vpmu_error error;

	if (!abilities)
		return NULL;
	error_set(&error, -ECANCELED, "vpmud ends");
	answer(abilities, NULL, &error);
	abilities->freed = true;
	if (!abilities->busy)
		destroy(abilities);
	return NULL;
}

int abilities_ask(struct abilities *abilities, abilities_fn fn, void *data)
{
	int r;

	if (abilities->host && now_ns() - abilities->found_ns < GOOD_FOR_NS) {
		fn(abilities->host, NULL, data);
		return 0;
	}
	if (!vec_push(&abilities->waiters, (struct waiter){ fn, data }))
		return -ENOMEM;
	if (abilities->busy)
		return 0;
	r = jobs_run(abilities->jobs, find_out, found, abilities);
	if (r < 0) {
		abilities->waiters.n--;
		return r;
	}
	abilities->busy = true;
	return 0;
}

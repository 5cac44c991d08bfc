/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "jobs.h"
#include "util/error.h"
#include "util/macro.h"

#define WAITING_MAX 1000

struct job {
	struct job *next;
	void (*work)(void *data);
	void (*end)(void *data, bool cancelled);
	void *data;
};

struct post {
	struct post *next;
	void (*fn)(void *data);
	void *data;
	struct job *ended; /* instead of fn: this job's end */
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t work_came;
	struct job *first, **last; /* those that wait */
	size_t n_waiting;
	struct post *posts, **last_post;
	bool stopping;
	int wake_fd; /* eventfd: there are posts */
	sd_event_source *source;
	unsigned int n_threads;
	pthread_t threads[];
};

static void append_post(struct jobs *jobs, struct post *post)
{
	uint64_t one = 1;
	bool first;

	pthread_mutex_lock(&jobs->lock);
	first = !jobs->posts;
	*jobs->last_post = post;
	jobs->last_post = &post->next;
	pthread_mutex_unlock(&jobs->lock);
	/* An eventfd that counts up cannot fail before 2^64 - 1. */
	if (first && write(jobs->wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* The end of a job needs no memory: its post is allocated with the job. */
struct job_and_post {
	struct job job;
	struct post post;
};

static struct job *take_job(struct jobs *jobs)
{
	struct job *job;

	pthread_mutex_lock(&jobs->lock);
	while (!jobs->first && !jobs->stopping)
		pthread_cond_wait(&jobs->work_came, &jobs->lock);
	job = jobs->stopping ? NULL : jobs->first;
	if (job) {
		jobs->first = job->next;
		if (!jobs->first)
			jobs->last = &jobs->first;
		jobs->n_waiting--;
	}
	pthread_mutex_unlock(&jobs->lock);
	return job;
}

static void *serve(void *data)
{
	struct jobs *jobs = data;
	struct job *job;

	while ((job = take_job(jobs))) {
		struct job_and_post *both = (struct job_and_post *)job;

		job->work(job->data);
		both->post = (struct post){ .ended = job };
		append_post(jobs, &both->post);
	}
	return NULL;
}

static void run_posts(struct jobs *jobs)
{
	struct post *post, *next;

	pthread_mutex_lock(&jobs->lock);
	post = jobs->posts;
	jobs->posts = NULL;
	jobs->last_post = &jobs->posts;
	pthread_mutex_unlock(&jobs->lock);
	for (; post; post = next) {
		next = post->next;
		if (post->ended) {
			struct job *job = post->ended;

			job->end(job->data, false);
			free(job); /* and the post in it */
		} else {
			post->fn(post->data);
			free(post);
		}
	}
}

static int on_posts(sd_event_source *source, int fd, uint32_t events, void *data)
{
	uint64_t n;

	(void)source;
	(void)events;
	if (read(fd, &n, sizeof(n)) < 0)
		return 0;
	run_posts(data);
	return 0;
}

static int start_threads(struct jobs *jobs, unsigned int n)
{
	sigset_t all, before;
	int r = 0;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (jobs->n_threads < n && r == 0) {
		r = -pthread_create(&jobs->threads[jobs->n_threads], NULL, serve, jobs);
		if (r == 0)
			jobs->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int jobs_new(sd_event *loop, unsigned int n_threads, struct jobs **ret_jobs, struct vpmu_error *reterr)
{
	_cleanup_(jobs_freep) struct jobs *jobs = calloc(1, sizeof(*jobs) + n_threads * sizeof(pthread_t));
	int r;

	if (!jobs)
		return error_oom(reterr);
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->work_came, NULL);
	jobs->last = &jobs->first;
	jobs->last_post = &jobs->posts;
	jobs->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (jobs->wake_fd < 0)
		return error_errno(reterr, -errno, "open", "eventfd");
	r = sd_event_add_io(loop, &jobs->source, jobs->wake_fd, EPOLLIN, on_posts, jobs);
	if (r < 0)
		return error_errno(reterr, r, "watch", "eventfd");
	r = start_threads(jobs, n_threads);
	if (r < 0)
		return error_errno(reterr, r, "start", "worker threads");
	*ret_jobs = take_ptr(jobs);
	return 0;
}

struct jobs *jobs_free(struct jobs *jobs)
{
	struct job *job, *next;

	if (!jobs)
		return NULL;
	pthread_mutex_lock(&jobs->lock);
	jobs->stopping = true;
	job = jobs->first;
	jobs->first = NULL;
	jobs->last = &jobs->first;
	pthread_cond_broadcast(&jobs->work_came);
	pthread_mutex_unlock(&jobs->lock);
	for (; job; job = next) {
		next = job->next;
		job->end(job->data, true);
		free(job);
	}
	for (unsigned int i = 0; i < jobs->n_threads; i++)
		pthread_join(jobs->threads[i], NULL);
	/* What an end posts is run, too. */
	while (jobs->posts)
		run_posts(jobs);
	sd_event_source_disable_unref(jobs->source);
	closep(&jobs->wake_fd);
	pthread_cond_destroy(&jobs->work_came);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
	return NULL;
}

int jobs_run(struct jobs *jobs, void (*work)(void *data), void (*end)(void *data, bool cancelled), void *data)
{
	struct job_and_post *both = calloc(1, sizeof(*both));
	int r = 0;

	if (!both)
		return -ENOMEM;
	both->job = (struct job){ .work = work, .end = end, .data = data };
	pthread_mutex_lock(&jobs->lock);
	if (jobs->stopping || jobs->n_waiting >= WAITING_MAX) {
		r = -EBUSY;
	} else {
		*jobs->last = &both->job;
		jobs->last = &both->job.next;
		jobs->n_waiting++;
		pthread_cond_signal(&jobs->work_came);
	}
	pthread_mutex_unlock(&jobs->lock);
	if (r < 0)
		free(both);
	return r;
}

int jobs_post(struct jobs *jobs, void (*fn)(void *data), void *data)
{
	struct post *post = calloc(1, sizeof(*post));

	if (!post)
		return -ENOMEM;
	post->fn = fn;
	post->data = data;
	append_post(jobs, post);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>

#include "daemon/jobs.h"
#include "test.h"

struct task {
	pthread_t thread;
	int worked, ended, cancelled;
	sd_event *loop;
	int *left;
};

static void work(void *data)
{
	struct task *task = data;

	task->thread = pthread_self();
	task->worked++;
}

static void end(void *data, bool cancelled)
{
	struct task *task = data;

	task->ended++;
	task->cancelled += cancelled;
	if (task->left && --*task->left == 0)
		sd_event_exit(task->loop, 0);
}

TEST(jobs_run_elsewhere_and_end_in_the_loop)
{
	_cleanup_(sd_event_unrefp) sd_event *loop = NULL;
	_cleanup_(jobs_freep) struct jobs *jobs = NULL;
	struct task tasks[100] = {};
	int left = 100;

	CHECK_EQ(0, sd_event_new(&loop));
	CHECK_EQ(0, jobs_new(loop, 3, &jobs, NULL));
	for (int i = 0; i < 100; i++) {
		tasks[i].loop = loop;
		tasks[i].left = &left;
		CHECK_EQ(0, jobs_run(jobs, work, end, &tasks[i]));
	}
	CHECK_EQ(0, sd_event_loop(loop));
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(tasks[i].worked, 1);
		CHECK_EQ(tasks[i].ended, 1);
		CHECK_EQ(tasks[i].cancelled, 0);
		CHECK(!pthread_equal(tasks[i].thread, pthread_self()));
	}
}

static void block(void *data)
{
	pthread_mutex_lock(data);
	pthread_mutex_unlock(data);
}

static void nothing(void *data, bool cancelled)
{
	(void)data;
	(void)cancelled;
}

TEST(jobs_that_wait_are_cancelled_but_end)
{
	_cleanup_(sd_event_unrefp) sd_event *loop = NULL;
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	struct jobs *jobs = NULL;
	struct task task = {}, other = {};
	int r;

	CHECK_EQ(0, sd_event_new(&loop));
	CHECK_EQ(0, jobs_new(loop, 1, &jobs, NULL));
	pthread_mutex_lock(&gate);
	CHECK_EQ(0, jobs_run(jobs, block, nothing, &gate));
	CHECK_EQ(0, jobs_run(jobs, work, end, &task));
	/* The pool takes no more than it can remember. */
	do
		r = jobs_run(jobs, work, nothing, &other);
	while (r == 0);
	CHECK_EQ(r, -EBUSY);
	/* The first holds the only thread, so nothing else has begun. */
	CHECK_EQ(task.worked, 0);
	pthread_mutex_unlock(&gate);
	jobs = jobs_free(jobs);
	CHECK_EQ(task.ended, 1);
	CHECK_EQ(task.worked + task.cancelled, 1);
}

struct note {
	int number, **next;
};

static void append(void *data)
{
	struct note *note = data;

	*(*note->next)++ = note->number;
}

TEST(posts_come_in_order)
{
	_cleanup_(sd_event_unrefp) sd_event *loop = NULL;
	_cleanup_(jobs_freep) struct jobs *jobs = NULL;
	int seen[3] = {}, *next = seen;
	struct note notes[3] = { { 7, &next }, { 8, &next }, { 9, &next } };

	CHECK_EQ(0, sd_event_new(&loop));
	CHECK_EQ(0, jobs_new(loop, 1, &jobs, NULL));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(0, jobs_post(jobs, append, &notes[i]));
	CHECK(sd_event_run(loop, 1000000) > 0);
	CHECK_EQ(next - seen, 3);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(seen[i], notes[i].number);
}

int main(void)
{
	return test_main();
}

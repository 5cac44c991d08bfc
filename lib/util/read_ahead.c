/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/macro.h"
#include "util/read_ahead.h"

#define BLOCK_BYTES (64u << 10)
#define N_BLOCKS    4u

struct block {
	size_t n, used;
	int error; /* negative errno behind the bytes, 1 = the end of the file */
	char bytes[BLOCK_BYTES];
};

struct read_ahead {
	int fd;
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock: blocks [first, first + n_full) are the reader's to take, modulo N_BLOCKS; the thread fills the next. */
	unsigned int first, n_full;
	bool stop;
	struct block blocks[N_BLOCKS];
};

/* Files in /proc give a page at a time: several reads a block, or waking the other side would cost more than it brings. */
static void fill(int fd, struct block *block)
{
	block->n = block->used = 0;
	block->error = 0;
	while (block->n < BLOCK_BYTES && !block->error) {
		ssize_t got = read(fd, block->bytes + block->n, BLOCK_BYTES - block->n);

		if (got > 0)
			block->n += (size_t)got;
		else if (got == 0)
			block->error = 1;
		else if (errno != EINTR)
			block->error = -errno;
	}
}

static void *fetch(void *data)
{
	struct read_ahead *a = data;
	struct block *block;

	pthread_mutex_lock(&a->lock);
	for (;;) {
		while (a->n_full == N_BLOCKS && !a->stop)
			pthread_cond_wait(&a->changed, &a->lock);
		if (a->stop)
			break;
		block = &a->blocks[(a->first + a->n_full) % N_BLOCKS];
		pthread_mutex_unlock(&a->lock);
		fill(a->fd, block);
		pthread_mutex_lock(&a->lock);
		a->n_full++;
		pthread_cond_signal(&a->changed);
		if (block->error)
			break;
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* The program's signals are for its own threads. */
static bool start_thread(struct read_ahead *a)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return false;
	r = pthread_create(&a->thread, NULL, fetch, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r == 0;
}

struct read_ahead *read_ahead_new(int fd)
{
	struct read_ahead *a = malloc(sizeof(*a));

	if (!a)
		return NULL;
	a->fd = fd;
	a->first = a->n_full = 0;
	a->stop = false;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	a->threaded = start_thread(a);
	return a;
}

struct read_ahead *read_ahead_free(struct read_ahead *a)
{
	if (!a)
		return NULL;
	if (a->threaded) {
		pthread_mutex_lock(&a->lock);
		a->stop = true;
		pthread_cond_signal(&a->changed);
		pthread_mutex_unlock(&a->lock);
		pthread_join(a->thread, NULL);
	}
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
	return NULL;
}

/* The oldest block, once there is one. */
static struct block *wait_for_block(struct read_ahead *a)
{
	pthread_mutex_lock(&a->lock);
	if (!a->threaded && a->n_full == 0) {
		fill(a->fd, &a->blocks[a->first]);
		a->n_full = 1;
	}
	while (a->n_full == 0)
		pthread_cond_wait(&a->changed, &a->lock);
	pthread_mutex_unlock(&a->lock);
	return &a->blocks[a->first];
}

static void give_back(struct read_ahead *a)
{
	pthread_mutex_lock(&a->lock);
	a->first = (a->first + 1) % N_BLOCKS;
	a->n_full--;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

ssize_t read_ahead_read(struct read_ahead *a, void *bytes, size_t n)
{
	for (;;) {
		struct block *block = wait_for_block(a);
		size_t take = MIN(n, block->n - block->used);

		memcpy(bytes, block->bytes + block->used, take);
		block->used += take;
		if (take || !n)
			return (ssize_t)take;
		/* The last block stays, so that the end is the end however often one asks. */
		if (block->error)
			return block->error < 0 ? block->error : 0;
		give_back(a);
	}
}

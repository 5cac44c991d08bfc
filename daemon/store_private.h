/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store as its two halves see it: store.c puts in, store_read.c takes out. */
#ifndef DAEMON_STORE_PRIVATE_H
#define DAEMON_STORE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store.h"
#include "store_db.h"
#include "util/vec.h"

/* One minute's or hour's profile, unpacked: what is larger is not read, and not written. */
#define STORE_PART_BYTES_MAX (32u << 20)

/* On its way to the file. */
struct waiting {
	char *name, *uuid;
	int64_t start_ms;
	void *bytes;
	size_t n_bytes;
};

typedef VEC(struct waiting) waiting_list;
typedef VEC(struct store_guest) guest_list; /* strings owned */

struct reading;

struct store {
	atomic_uint refs;
	struct jobs *jobs;
	char *path;
	atomic_bool stopping;

	/* The loop's. */
	guest_list guests; /* as of the last write */
	bool scheduled;	   /* a job to write is under way */
	bool more;	   /* and something came since */
	unsigned int reads_max;
	VEC(struct reading *) reads, reads_waiting; /* jobs that read, and what waits for its turn */

	/* The writer's: whoever has `writing`. */
	struct store_db *db;
	bool failing;

	pthread_mutex_t lock;
	pthread_cond_t written; /* `writing` became false */
	bool writing;
	struct store_limits limits;
	waiting_list queue;
	size_t queue_bytes;
	struct store_stats stats;
};

struct store *store_ref(struct store *store);
struct store *store_unref(struct store *store);
DEFINE_CLEANUP(struct store *, store_unref)

/* Those who wait for their turn get -ECANCELED. */
void store_cancel_reads(struct store *store);

/* What could not be written, read or understood. From any thread. */
void store_count_errors(struct store *store, uint64_t n);

#endif

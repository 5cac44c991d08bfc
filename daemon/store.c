/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Putting in. One job at a time writes: it takes all that waits, in one transaction, and then makes hours of old minutes for
 * a while. What cannot be written goes back into the queue, whose size is bounded; the oldest of it is lost first.
 */
#include <errno.h>
#include <time.h>

#include "say.h"
#include "store_private.h"
#include "util/error.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct vpmu_profile *, vpmu_profile_free)

/* Of what could not be written yet; and no more than a part of what the store may take, so that it goes in as one. */
#define QUEUE_BYTES_MAX (8u << 20)

/* Minutes become hours when they are so old. */
#define THIN_AFTER_MS (24 * INT64_C(3600000))

/* After each write, so long at most. */
#define THIN_NS (100 * UINT64_C(1000000))

#define MINUTE_MS INT64_C(60000)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- lists ---- */

static void waiting_free(waiting_list *list)
{
	vec_for_each(w, list) {
		free(w->name);
		free(w->uuid);
		free(w->bytes);
	}
	vec_free(list);
}

static void guests_free(guest_list *list)
{
	vec_for_each(guest, list) {
		free((char *)guest->name);
		free((char *)guest->uuid);
	}
	vec_free(list);
}

/* The oldest go until there is room for @more bytes. Under the lock. */
static void shorten_queue(struct store *store, size_t more)
{
	uint64_t most = MIN(store->limits.max_bytes / 4, QUEUE_BYTES_MAX);
	size_t n = 0;

	while (n < store->queue.n && store->queue_bytes + more > most) {
		struct waiting *w = &store->queue.items[n++];

		store->queue_bytes -= w->n_bytes;
		store->stats.errors++;
		free(w->name);
		free(w->uuid);
		free(w->bytes);
	}
	if (n == 0)
		return;
	store->queue.n -= n;
	memmove(store->queue.items, store->queue.items + n, store->queue.n * sizeof(*store->queue.items));
}

static waiting_list take_queue(struct store *store)
{
	waiting_list taken;

	pthread_mutex_lock(&store->lock);
	taken = store->queue;
	store->queue = (waiting_list){};
	store->queue_bytes = 0;
	pthread_mutex_unlock(&store->lock);
	return taken;
}

/* What could not be written, before what came meanwhile. */
static void put_back(struct store *store, waiting_list *list)
{
	waiting_list newer;

	pthread_mutex_lock(&store->lock);
	newer = store->queue;
	store->queue = *list;
	vec_for_each(w, list)
		store->queue_bytes += w->n_bytes;
	if (newer.n && vec_reserve(&store->queue, newer.n)) {
		memcpy(store->queue.items + store->queue.n, newer.items, newer.n * sizeof(*newer.items));
		store->queue.n += newer.n;
		newer.n = 0;
	}
	vec_for_each(w, &newer) { /* no memory for them */
		store->queue_bytes -= w->n_bytes;
		store->stats.errors++;
	}
	shorten_queue(store, 0);
	pthread_mutex_unlock(&store->lock);
	waiting_free(&newer);
	*list = (waiting_list){};
}

/* ---- the writer ---- */

static void tell_state(struct store *store, const struct vpmu_error *error)
{
	char before[sizeof(store->stats.last_error)];

	pthread_mutex_lock(&store->lock);
	memcpy(before, store->stats.last_error, sizeof(before));
	snprintf(store->stats.last_error, sizeof(store->stats.last_error), "%s", error->code ? error->text : "");
	if (error->code)
		store->stats.errors++;
	pthread_mutex_unlock(&store->lock);
	if (error->code && !streq(before, error->text))
		say_error(error);
	else if (!error->code && before[0])
		say_info("the store '%s' works again", store->path);
}

static void take_stats(struct store *store)
{
	struct store_db_stats now;

	if (store_db_stats(store->db, &now, NULL) < 0)
		return;
	pthread_mutex_lock(&store->lock);
	store->stats.bytes = now.bytes;
	store->stats.profiles = now.profiles;
	store->stats.oldest_ms = now.oldest_ms;
	pthread_mutex_unlock(&store->lock);
}

static void list_guest(const char *name, const char *uuid, void *data)
{
	guest_list *list = data;
	struct store_guest guest = { .name = strdup(name), .uuid = strdup(uuid) };

	if (guest.name && guest.uuid && vec_push(list, guest))
		return;
	free((char *)guest.name);
	free((char *)guest.uuid);
}

static int write_parts(struct store *store, const waiting_list *list, struct vpmu_error *reterr)
{
	_free_ struct store_part *parts = calloc(list->n + 1, sizeof(*parts));
	struct store_limits limits;

	if (!parts)
		return error_oom(reterr);
	for (size_t i = 0; i < list->n; i++) {
		const struct waiting *w = &list->items[i];

		parts[i] = (struct store_part){ .name = w->name, .uuid = w->uuid, .start_ms = w->start_ms,
						.end_ms = w->start_ms + MINUTE_MS, .bytes = w->bytes,
						.n_bytes = w->n_bytes };
	}
	pthread_mutex_lock(&store->lock);
	limits = store->limits;
	pthread_mutex_unlock(&store->lock);
	return store_db_put(store->db, parts, list->n, &limits, now_ms(), reterr);
}

struct sum {
	struct store *store;
	struct vpmu_profile *profile; /* NULL: nothing yet */
	struct vpmu_error *error;
};

static int write_sum(struct sum *sum, void **ret_bytes, size_t *ret_n)
{
	int r = sum->profile ? vpmu_profile_write(sum->profile, NULL, ret_bytes, ret_n, sum->error) : 0;

	sum->profile = vpmu_profile_free(sum->profile);
	return r;
}

/*
 * Profiles of an hour into one; or into some, each of which can be read again: in memory a profile is larger than its bytes. What
 * is damaged has been of no use as a minute, either.
 */
static int add_to_sum(const struct store_part *part, void **ret_bytes, size_t *ret_n, void *data)
{
	VPMU_OPTS(vpmu_profile_read_opts, opts, .max_bytes = STORE_PART_BYTES_MAX);
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *profile = NULL;
	struct sum *sum = data;
	int r;

	if (!part)
		return write_sum(sum, ret_bytes, ret_n);
	r = vpmu_profile_read(part->bytes, part->n_bytes, &opts, &profile, NULL);
	if (r < 0) {
		store_count_errors(sum->store, 1);
		return r == -ENOMEM ? error_oom(sum->error) : 0;
	}
	if (sum->profile && vpmu_profile_memory(sum->profile) + vpmu_profile_memory(profile) > STORE_PART_BYTES_MAX / 2)
		r = write_sum(sum, ret_bytes, ret_n);
	if (r == 0 && !sum->profile)
		r = vpmu_profile_new(NULL, &sum->profile, sum->error);
	return r < 0 ? r : vpmu_profile_merge(sum->profile, profile, sum->error);
}

/* An hour that cannot be made is told of once, and does not keep others from it. */
static int make_hours(struct store *store, struct vpmu_error *reterr)
{
	uint64_t end = now_ns() + THIN_NS;
	int r = 1;

	while (r == 1 && now_ns() < end && !store->stopping) {
		struct sum sum = { .store = store, .error = reterr };

		r = store_db_thin(store->db, now_ms() - THIN_AFTER_MS, add_to_sum, &sum, reterr);
		vpmu_profile_free(sum.profile);
		if (r == -ENOTRECOVERABLE) {
			say_warning("an hour of the store '%s' stays in minutes: %s", store->path, reterr->text);
			store_count_errors(store, 1);
			*reterr = (struct vpmu_error){};
			r = 1;
		}
	}
	return r;
}

/*
 * All that waits. After a failure the file is opened anew the next time: it may have been moved away or mended meanwhile.
 * A disk that is full has room again some day; a batch that is too large never fits.
 */
static void write_all(struct store *store, bool thin)
{
	waiting_list list = take_queue(store);
	struct vpmu_error error = {};
	int r = store->db ? 0 : store_db_open(store->path, true, &store->db, &error);

	if (r == 0 && list.n)
		r = write_parts(store, &list, &error);
	if (r == -EFBIG)
		store_count_errors(store, list.n);
	if (r < 0 && r != -EFBIG)
		put_back(store, &list);
	waiting_free(&list);
	if (r == 0 && thin)
		r = MIN(make_hours(store, &error), 0);
	if (r == 0)
		take_stats(store);
	else
		store->db = store_db_close(store->db);
	tell_state(store, &error);
}

/* ---- the writer's job ---- */

struct writing {
	struct store *store;
	guest_list guests;
	bool listed;
};

static void begin_writing(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	while (store->writing)
		pthread_cond_wait(&store->written, &store->lock);
	store->writing = true;
	pthread_mutex_unlock(&store->lock);
}

static void end_writing(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	store->writing = false;
	pthread_cond_broadcast(&store->written);
	pthread_mutex_unlock(&store->lock);
}

static void write_work(void *data)
{
	struct writing *w = data;

	begin_writing(w->store);
	if (!w->store->stopping) {
		write_all(w->store, true);
		if (w->store->db)
			w->listed = store_db_guests(w->store->db, list_guest, &w->guests, NULL) == 0;
	}
	end_writing(w->store);
}

static int schedule(struct store *store);

static void write_end(void *data, bool cancelled)
{
	struct writing *w = data;
	struct store *store = w->store;

	store->scheduled = false;
	if (w->listed) {
		guests_free(&store->guests);
		store->guests = w->guests;
	} else {
		guests_free(&w->guests);
	}
	if (!cancelled && store->more && !store->stopping)
		(void)schedule(store); /* if not now, then with the next that comes */
	free(w);
	store_unref(store);
}

static int schedule(struct store *store)
{
	struct writing *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->store = store;
	r = jobs_run(store->jobs, write_work, write_end, w);
	if (r < 0) {
		free(w);
		return r;
	}
	store_ref(store);
	store->scheduled = true;
	store->more = false;
	return 0;
}

/* ---- for the loop ---- */

struct store *store_ref(struct store *store)
{
	atomic_fetch_add(&store->refs, 1);
	return store;
}

struct store *store_unref(struct store *store)
{
	if (!store || atomic_fetch_sub(&store->refs, 1) > 1)
		return NULL;
	store_db_close(store->db);
	waiting_free(&store->queue);
	guests_free(&store->guests);
	vec_free(&store->reads);
	vec_free(&store->reads_waiting);
	pthread_cond_destroy(&store->written);
	pthread_mutex_destroy(&store->lock);
	free(store->path);
	free(store);
	return NULL;
}

int store_new(struct jobs *jobs, const struct config *config, struct store **ret_store, struct vpmu_error *reterr)
{
	_cleanup_(store_unrefp) struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return error_oom(reterr);
	*store = (struct store){
		.refs = 1,
		.jobs = jobs,
		.path = strdup(config->store_path),
		/* One thread of the pool is for others: reading may take long. */
		.reads_max = MAX(config->workers, 2u) - 1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.written = PTHREAD_COND_INITIALIZER,
	};
	if (!store->path)
		return error_oom(reterr);
	store_reload(store, config);
	/* Here and now: nobody waits for the loop yet, and whoever asks first gets what there is. */
	write_all(store, false);
	if (store->db)
		(void)store_db_guests(store->db, list_guest, &store->guests, NULL);
	*ret_store = take_ptr(store);
	return 0;
}

struct store *store_free(struct store *store)
{
	if (!store)
		return NULL;
	store->stopping = true;
	store_cancel_reads(store);
	begin_writing(store);
	if (store->queue.n)
		write_all(store, false);
	store->db = store_db_close(store->db);
	end_writing(store);
	return store_unref(store);
}

void store_reload(struct store *store, const struct config *config)
{
	pthread_mutex_lock(&store->lock);
	store->limits.max_bytes = config->store_max_bytes;
	store->limits.max_age_s = config->store_max_age_s;
	pthread_mutex_unlock(&store->lock);
}

int store_put(struct store *store, const char *guest_name, const char *guest_uuid, int64_t minute_ms, void *bytes,
	      size_t n_bytes)
{
	struct waiting w = { .name = strdup(guest_name), .uuid = strdup(guest_uuid), .start_ms = minute_ms, .bytes = bytes,
			     .n_bytes = n_bytes };
	bool queued = false;

	if (w.name && w.uuid) {
		pthread_mutex_lock(&store->lock);
		shorten_queue(store, n_bytes);
		queued = vec_push(&store->queue, w);
		if (queued)
			store->queue_bytes += n_bytes;
		pthread_mutex_unlock(&store->lock);
	}
	if (!queued) {
		free(w.name);
		free(w.uuid);
		free(bytes);
		return -ENOMEM;
	}
	store->more = true;
	/* When the pool is busy it goes with the next. */
	if (!store->scheduled)
		(void)schedule(store);
	return 0;
}

bool store_guest(struct store *store, size_t i, struct store_guest *ret_guest)
{
	if (i >= store->guests.n)
		return false;
	*ret_guest = store->guests.items[i];
	return true;
}

void store_count_errors(struct store *store, uint64_t n)
{
	pthread_mutex_lock(&store->lock);
	store->stats.errors += n;
	pthread_mutex_unlock(&store->lock);
}

void store_stats(struct store *store, struct store_stats *ret_stats)
{
	pthread_mutex_lock(&store->lock);
	*ret_stats = store->stats;
	pthread_mutex_unlock(&store->lock);
}

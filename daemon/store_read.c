/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking out: the profiles of some guests and some time, merged, in a job with a connection of its own. What one answer may
 * take is bounded in time and in memory, and one thread of the pool is left to others: what else vpmud does goes on meanwhile.
 */
#include <errno.h>
#include <time.h>

#include "store_private.h"
#include "util/error.h"
#include "util/macro.h"

#define QUERY_NS_MAX	(20 * UINT64_C(1000000000))
#define QUERY_BYTES_MAX (96u << 20) /* of the merged profile */
#define READS_WAITING_MAX 1000
#define LOOK_EVERY	64	    /* profiles: at the clock, at the memory */

DEFINE_CLEANUP(struct vpmu_profile *, vpmu_profile_free)

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS	  (60 * MINUTE_MS)

struct span {
	int64_t start_ms, end_ms;
};

struct reading {
	struct store *store;
	guest_list guests;
	bool rest;
	int64_t since_ms, until_ms;
	store_fn fn;
	void *data;
	atomic_bool cancelled;
	struct store_kept *ret_kept;

	struct vpmu_profile *profile;
	struct vpmu_error error;
	uint64_t n_parts, end_ns;
	VEC(struct span) spans; /* of the parts; neighbours of one guest are one */
	struct store_kept kept;
};

static struct reading *reading_free(struct reading *r)
{
	if (!r)
		return NULL;
	vec_for_each(guest, &r->guests) {
		free((char *)guest->name);
		free((char *)guest->uuid);
	}
	vec_free(&r->guests);
	vec_free(&r->spans);
	vpmu_profile_free(r->profile);
	store_unref(r->store);
	free(r);
	return NULL;
}
DEFINE_CLEANUP(struct reading *, reading_free)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool is_wanted(const char *name, const char *uuid, void *data)
{
	struct reading *r = data;

	if (!name[0] && !uuid[0])
		return r->rest;
	vec_for_each(guest, &r->guests)
		if (streq(guest->name, name) && streq(guest->uuid, uuid))
			return true;
	return false;
}

static int too_much(struct reading *r, const char *what)
{
	error_set(&r->error, -E2BIG, "an answer from the store that takes more than %s", what);
	error_hint(&r->error, "ask for a shorter time, or for fewer guests");
	return -E2BIG;
}

static int check_bounds(struct reading *r)
{
	if (r->store->stopping)
		return error_set(&r->error, -ECANCELED, "vpmud is being stopped");
	if (r->cancelled)
		return error_set(&r->error, -ECANCELED, "nobody waits for the answer");
	if (++r->n_parts % LOOK_EVERY)
		return 0;
	if (now_ns() > r->end_ns)
		return too_much(r, "20 seconds");
	if (vpmu_profile_memory(r->profile) > QUERY_BYTES_MAX)
		return too_much(r, "96 MiB of memory");
	return 0;
}

/* ---- how much there is ---- */

static int add_span(struct reading *r, const struct store_part *part)
{
	struct span span = { part->start_ms, part->end_ms }, *last = r->spans.n ? &r->spans.items[r->spans.n - 1] : NULL;
	int64_t latest_ms;

	/* Nothing is of more than an hour or ends before it begins, unless the file was damaged. */
	if (__builtin_add_overflow(part->start_ms, HOUR_MS, &latest_ms))
		return 0;
	span.end_ms = MAX(span.start_ms, MIN(span.end_ms, latest_ms));
	if (!last || span.start_ms < last->start_ms || span.start_ms > last->end_ms)
		return vec_push(&r->spans, span) ? 0 : -ENOMEM;
	last->end_ms = MAX(last->end_ms, span.end_ms);
	return 0;
}

static int compare_spans(const void *pa, const void *pb)
{
	const struct span *a = pa, *b = pb;

	return (a->start_ms > b->start_ms) - (a->start_ms < b->start_ms);
}

/* Guests overlap: what any of them has counts once. */
static void count_kept(struct reading *r)
{
	struct store_kept *kept = &r->kept;
	int64_t kept_ms = 0;

	if (!r->spans.n)
		return;
	qsort(r->spans.items, r->spans.n, sizeof(*r->spans.items), compare_spans);
	kept->since_ms = kept->until_ms = r->spans.items[0].start_ms;
	vec_for_each(span, &r->spans) {
		kept_ms += MAX(span->end_ms - MAX(span->start_ms, kept->until_ms), 0);
		kept->until_ms = MAX(kept->until_ms, span->end_ms);
	}
	kept->minutes = kept_ms / MINUTE_MS;
}

/* ---- in the pool ---- */

/* A profile that cannot be read is one that is missing. */
static int add_part(const struct store_part *part, void *data)
{
	VPMU_OPTS(vpmu_profile_read_opts, opts, .max_bytes = STORE_PART_BYTES_MAX);
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *profile = NULL;
	struct reading *reading = data;
	int r = check_bounds(reading);

	if (r < 0)
		return r;
	r = vpmu_profile_read(part->bytes, part->n_bytes, &opts, &profile, &reading->error);
	if (r == 0)
		r = vpmu_profile_merge(reading->profile, profile, &reading->error) ?: add_span(reading, part);
	if (profile)
		return r;
	store_count_errors(reading->store, 1);
	return r == -ENOMEM ? r : 0;
}

static int read_parts(struct reading *reading)
{
	_cleanup_(store_db_closep) struct store_db *db = NULL;
	struct vpmu_coverage coverage;
	int r;

	reading->end_ns = now_ns() + QUERY_NS_MAX;
	r = vpmu_profile_new(NULL, &reading->profile, &reading->error);
	if (r == 0)
		r = check_bounds(reading);
	if (r == 0)
		r = store_db_open(reading->store->path, false, &db, &reading->error);
	if (r == 0)
		r = store_db_each(db, is_wanted, reading->since_ms, reading->until_ms, add_part, reading,
				  &reading->error);
	if (r < 0)
		return r;
	count_kept(reading);
	vpmu_profile_coverage(reading->profile, &coverage);
	if (coverage.samples)
		return 0;
	error_set(&reading->error, -ENODATA, "the store has no samples of that time");
	return -ENODATA;
}

static void read_work(void *data)
{
	struct reading *reading = data;

	if (read_parts(reading) < 0)
		reading->profile = vpmu_profile_free(reading->profile);
	else
		reading->error = (struct vpmu_error){};
}

static void answer(struct reading *reading, int code)
{
	if (code == -ECANCELED)
		error_set(&reading->error, code, "vpmud is being stopped");
	else if (code < 0)
		error_set(&reading->error, code, "vpmud has too much to do; try again later");
	if (reading->ret_kept && !reading->error.code)
		*reading->ret_kept = reading->kept;
	if (reading->error.code)
		reading->fn(NULL, &reading->error, reading->data);
	else
		reading->fn(take_ptr(reading->profile), NULL, reading->data);
	reading_free(reading);
}

static int begin(struct reading *reading);

static void forget(struct store *store, const struct reading *reading)
{
	vec_for_each(item, &store->reads)
		if (*item == reading) {
			*item = store->reads.items[--store->reads.n];
			return;
		}
}

static struct reading *take_waiting(struct store *store, size_t i)
{
	struct reading *reading = store->reads_waiting.items[i];

	store->reads_waiting.n--;
	memmove(&store->reads_waiting.items[i], &store->reads_waiting.items[i + 1],
		(store->reads_waiting.n - i) * sizeof(reading));
	return reading;
}

static void read_end(void *data, bool cancelled)
{
	struct reading *reading = data;
	_cleanup_(store_unrefp) struct store *store = store_ref(reading->store);

	forget(store, reading);
	answer(reading, cancelled ? -ECANCELED : 0);
	while (!store->stopping && store->reads_waiting.n && store->reads.n < store->reads_max) {
		struct reading *next = take_waiting(store, 0);
		int r = begin(next);

		if (r < 0)
			answer(next, r);
	}
}

static int begin(struct reading *reading)
{
	struct store *store = reading->store;
	int r;

	if (!vec_push(&store->reads, reading))
		return -ENOMEM;
	r = jobs_run(store->jobs, read_work, read_end, reading);
	if (r < 0)
		store->reads.n--;
	return r;
}

void store_cancel_reads(struct store *store)
{
	while (store->reads_waiting.n)
		answer(store->reads_waiting.items[--store->reads_waiting.n], -ECANCELED);
}

void store_cancel(struct store *store, const void *data)
{
	vec_for_each(reading, &store->reads)
		if ((*reading)->data == data)
			(*reading)->cancelled = true;
	for (size_t i = 0; i < store->reads_waiting.n; i++) {
		if (store->reads_waiting.items[i]->data != data)
			continue;
		answer(take_waiting(store, i), -ECANCELED);
		return;
	}
}

int store_get(struct store *store, const struct store_query *query, store_fn fn, void *data)
{
	_cleanup_(reading_freep) struct reading *reading = calloc(1, sizeof(*reading));
	int r;

	if (!reading)
		return -ENOMEM;
	reading->store = store_ref(store);
	reading->rest = query->rest;
	reading->since_ms = query->since_ms;
	reading->until_ms = query->until_ms;
	reading->ret_kept = query->ret_kept;
	reading->fn = fn;
	reading->data = data;
	for (size_t i = 0; i < query->n_guests; i++) {
		struct store_guest guest = { .name = strdup(query->guests[i].name), .uuid = strdup(query->guests[i].uuid) };

		if (!vec_push(&reading->guests, guest) || !guest.name || !guest.uuid)
			return -ENOMEM;
	}
	if (store->reads.n < store->reads_max)
		r = begin(reading);
	else if (store->reads_waiting.n >= READS_WAITING_MAX)
		r = -EBUSY;
	else
		r = vec_push(&store->reads_waiting, reading) ? 0 : -ENOMEM;
	if (r == 0)
		reading = NULL; /* the job's, or the list's */
	return r;
}

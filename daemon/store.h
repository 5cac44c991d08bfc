/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Profiles on disk: one for each guest and minute, as vpmu_profile_write() makes them, in an SQLite database that is bounded in size
 * and age (the oldest go first). A crash at any instant loses at most the minute that was being filled.
 *
 * Writing and reading happen in the pool (jobs.h), through a connection for each; the loop never waits for the disk. When
 * the disk is full or the file is damaged the store says so once, goes on trying, and nothing else stops.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <vpmu/profile.h>
#include "config.h"
#include "jobs.h"

struct store;

/* Errors: -EACCES and what opening gave; -EUCLEAN: no database of ours, or damaged beyond use; it is left alone. */
int store_new(struct jobs *jobs, const struct config *config, struct store **ret_store, struct vpmu_error *reterr);
/* Waits for what was handed in; syncs. */
struct store *store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free)

/* store_put - the profile of one guest in the minute that begins at @minute_ms (Unix time): @bytes are taken. */
int store_put(struct store *store, const char *guest_name, const char *guest_uuid, int64_t minute_ms, void *bytes,
	      size_t n_bytes);

struct store_query {
	const char *const *guests; /* names or UUIDs */
	size_t n_guests;	   /* 0 = none: callers name what they may see */
	int64_t since_ms, until_ms;
};

/* @fn gets one profile, merged; its to free. -ENODATA in @error if there is none in that time. */
typedef void (*store_fn)(struct vpmu_profile *profile, const struct vpmu_error *error, void *data);
int store_get(struct store *store, const struct store_query *query, store_fn fn, void *data);

/* Guests that the store knows, of now and before: [name, uuid] pairs. */
typedef void (*store_guests_fn)(const char *const *names, const char *const *uuids, size_t n, void *data);
int store_guests(struct store *store, store_guests_fn fn, void *data);

struct store_stats {
	uint64_t bytes, profiles, errors;
	int64_t oldest_ms; /* 0 = empty */
	char last_error[256];
};
void store_stats(const struct store *store, struct store_stats *ret_stats);

#endif

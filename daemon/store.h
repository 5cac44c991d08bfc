/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Profiles on disk: one for each guest and minute, as vpmu_profile_write() makes them, in an SQLite database that is bounded in size
 * and age (the oldest go first). After a day the minutes of an hour become one. A crash at any instant loses at most the minute
 * that was being filled.
 *
 * Writing and reading happen in the pool (jobs.h), through a connection for each; the loop never waits for the disk. When
 * the file cannot be had (no permission, another program's, damaged, a full disk) the store says so once, keeps some minutes in
 * memory, tries again with each one that comes, and says when it works again. Nothing else stops.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <vpmu/profile.h>
#include "config.h"
#include "jobs.h"

struct store;

/* A file that cannot be had is no error here. Errors: -ENOMEM. */
int store_new(struct jobs *jobs, const struct config *config, struct store **ret_store, struct vpmu_error *reterr);
/* Writes what was handed in, at once. Those who wait for an answer get -ECANCELED, from jobs_free(). */
struct store *store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free)

/* max-size and max-age of @config from now on; the path stays what it was. */
void store_reload(struct store *store, const struct config *config);

/*
 * store_put - the profile of one guest in the minute that begins at @minute_ms (Unix time): @bytes are taken, in any case. Name and
 * UUID "": the rest of that minute, which belongs to no guest. Errors: -ENOMEM.
 */
int store_put(struct store *store, const char *guest_name, const char *guest_uuid, int64_t minute_ms, void *bytes,
	      size_t n_bytes);

/* A guest as the store knows it: name and UUID (or ""). One that was renamed is two. */
struct store_guest {
	const char *name, *uuid;
};

struct store_query {
	const struct store_guest *guests; /* copied; callers name what they may see */
	size_t n_guests;
	bool rest; /* and what cannot be told apart by guest: of those who may see all guests, and ask for all */
	int64_t since_ms, until_ms; /* whole minutes are taken, and whole hours of what is older than a day */
	struct store_kept *ret_kept; /* filled before store_get()'s @fn gets a profile; NULL = nobody wants to know */
};

/*
 * What there was of the time that was asked for: from the first to the last profile, and how many minutes of that have one. An hour
 * that was made of minutes counts as a whole, whichever of them there were.
 */
struct store_kept {
	int64_t since_ms, until_ms;
	int64_t minutes;
};

/*
 * store_get - @fn gets one profile, merged, which is its to free; or NULL and an error: -ENODATA (nothing of these guests in that
 * time), -E2BIG (more than one answer may take: the text says what to do), and those of the disk.
 */
typedef void (*store_fn)(struct vpmu_profile *profile, const struct vpmu_error *error, void *data);
int store_get(struct store *store, const struct store_query *query, store_fn fn, void *data);

/*
 * store_cancel - whoever asked with @data does not want to know any more: fn gets -ECANCELED, from here if its turn has not come, else
 * as soon as the job notices. Nothing if there is no such question.
 */
void store_cancel(struct store *store, const void *data);

/* Guests that there are profiles of, of now and before: sorted, false beyond the end. Valid until the loop goes on. */
bool store_guest(struct store *store, size_t i, struct store_guest *ret_guest);

struct store_stats {
	uint64_t bytes, profiles, errors;
	int64_t oldest_ms; /* 0 = empty */
	char last_error[512]; /* "" if it works */
};
void store_stats(struct store *store, struct store_stats *ret_stats);

#endif

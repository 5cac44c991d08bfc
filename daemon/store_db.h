/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store's file: an SQLite database, seen through one connection. Everything here takes as long as the disk does, and belongs to
 * one thread at a time; store.h is what the loop uses.
 *
 *	guests(id, name, uuid)			one row for each name and UUID there ever was in it
 *	profiles(guest, start_ms, end_ms, bytes)	vpmu_profile_write()'s bytes; a minute, or of old ones an hour
 *
 * The guest with no name and no UUID holds "the rest" of a minute: what cannot be told apart by guest.
 *
 * Write-ahead log, each transaction synced: after a crash, of vpmud or of the machine, the file holds what was put in before the
 * last minute. The log is emptied after each transaction, so that the file's size is what the store takes.
 */
#ifndef DAEMON_STORE_DB_H
#define DAEMON_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmu/error.h>
#include "util/cleanup.h"

struct store_db;

struct store_limits {
	uint64_t max_bytes; /* of the file; at least 1 MiB */
	uint64_t max_age_s;
};

/* One profile of a guest: [start_ms, end_ms), Unix time. */
struct store_part {
	const char *name, *uuid;
	int64_t start_ms, end_ms;
	const void *bytes;
	size_t n_bytes;
};

/*
 * store_db_open - @to_write: made if it is not there, for its owner alone.
 * Errors: -EUCLEAN (another program's, or of a later vpmud, or damaged: it is left alone), -EACCES, -ENOENT, -EROFS, -ENOSPC, …
 */
int store_db_open(const char *path, bool to_write, struct store_db **ret_db, struct vpmu_error *reterr);
struct store_db *store_db_close(struct store_db *db);
DEFINE_CLEANUP(struct store_db *, store_db_close)

/*
 * store_db_put - all of @parts, or none. Before, room is made: what is older than @limits says goes, and the oldest of what does not
 * fit.
 * @now_ms: Unix time, for the age. Errors: -ENOSPC (disk full), -EFBIG (more than half of what the store may take), -EIO, -EUCLEAN
 * (damaged), -EBUSY (somebody else holds the file).
 */
int store_db_put(struct store_db *db, const struct store_part *parts, size_t n, const struct store_limits *limits,
		 int64_t now_ms, struct vpmu_error *reterr);

/*
 * store_db_each - the profiles that overlap [since_ms, until_ms): guest by guest those that are @wanted, then the rest, if any guest is
 * wanted and it is, too (as "", ""). A part is valid until @fn returns; a negative number from it ends the walk and is returned.
 */
typedef bool (*store_wanted_fn)(const char *name, const char *uuid, void *data);
typedef int (*store_part_fn)(const struct store_part *part, void *data);
int store_db_each(struct store_db *db, store_wanted_fn wanted, int64_t since_ms, int64_t until_ms, store_part_fn fn,
		  void *data, struct vpmu_error *reterr);

/* The guests that have profiles, by name; not the rest. */
int store_db_guests(struct store_db *db, void (*fn)(const char *name, const char *uuid, void *data), void *data,
		    struct vpmu_error *reterr);

struct store_db_stats {
	uint64_t bytes; /* of the file and its log */
	uint64_t profiles;
	int64_t oldest_ms; /* 0 = empty */
};
int store_db_stats(struct store_db *db, struct store_db_stats *ret_stats, struct vpmu_error *reterr);

/*
 * store_db_thin - the oldest hour of a guest that is still in minutes and was over by @before_ms becomes one profile, or a few: @fn
 * gets its parts, first to last, then NULL: it is asked for their sum (*ret_bytes, to be freed). Where that grows too large it hands
 * out what it has earlier, and begins anew with @part. Returns 1 if there was one, 0 if not.
 *
 * -ENOTRECOVERABLE: that hour cannot be read, or @fn failed, which tells its cause in @reterr. It stays as it is, and is left out from
 * now on, until the file is opened anew. Other errors may pass: -ENOSPC, -EBUSY, -ENOMEM, …
 */
typedef int (*store_sum_fn)(const struct store_part *part, void **ret_bytes, size_t *ret_n, void *data);
int store_db_thin(struct store_db *db, int64_t before_ms, store_sum_fn fn, void *data, struct vpmu_error *reterr);

#endif

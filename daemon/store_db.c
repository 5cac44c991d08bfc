/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store_db_private.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"

/* PRAGMA application_id, in the file's header: "vpmu". And the version of the tables. */
#define APPLICATION_ID 0x76706d75
#define TABLES_VERSION 1

/* Somebody with the sqlite3 shell may hold the file for a moment. */
#define BUSY_MS 2000

static const char *const schema[] = {
	"PRAGMA auto_vacuum = INCREMENTAL",
	"PRAGMA journal_mode = WAL",
	"BEGIN IMMEDIATE",
	"CREATE TABLE guests (id INTEGER PRIMARY KEY, name TEXT NOT NULL, uuid TEXT NOT NULL, UNIQUE (name, uuid))",
	"CREATE TABLE profiles (guest INTEGER NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL,"
	" bytes BLOB NOT NULL)",
	"CREATE INDEX profiles_by_guest ON profiles (guest, start_ms, end_ms)",
	"CREATE INDEX profiles_by_time ON profiles (start_ms, end_ms)",
	"PRAGMA application_id = 1987079541",
	"PRAGMA user_version = 1",
	"COMMIT",
};

_Static_assert(APPLICATION_ID == 1987079541, "as in the schema");

/* ---- open, close ---- */

struct store_db *store_db_close(struct store_db *db)
{
	if (!db)
		return NULL;
	sqlite3_close(db->sql);
	free(db->path);
	free(db->log_path);
	free(db);
	return NULL;
}

/* A file that has something in it must be ours before a byte of it changes. */
static int check_ours(struct store_db *db, bool *ret_new, struct vpmu_error *reterr)
{
	int64_t id, version, tables;

	if (db_number(db, "PRAGMA application_id", &id) < 0 || db_number(db, "PRAGMA user_version", &version) < 0 ||
	    db_number(db, "SELECT count(*) FROM sqlite_master", &tables) < 0)
		return db_fail(db, "open", reterr);
	*ret_new = id == 0 && tables == 0;
	if (*ret_new || (id == APPLICATION_ID && version == TABLES_VERSION))
		return 0;
	if (id == APPLICATION_ID)
		error_set(reterr, -EUCLEAN, "cannot open '%s': it is of another version of vpmud (%d)", db->path,
			  (int)version);
	else
		error_set(reterr, -EUCLEAN, "cannot open '%s': it is another program's database", db->path);
	error_hint(reterr, "it is left alone; set another path in vpmud.conf, [store]");
	return -EUCLEAN;
}

static int make_tables(struct store_db *db, struct vpmu_error *reterr)
{
	for (size_t i = 0; i < ARRAY_SIZE(schema); i++)
		if (db_run(db, schema[i]) < 0)
			return db_roll_back(db, "make", reterr);
	return 0;
}

/*
 * SQLite would make it readable by all that the umask lets, and the log takes the file's mode. No other kind of file
 * is a store, and a link may have been put there by somebody else.
 */
static int make_file(const char *path, struct vpmu_error *reterr)
{
	_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0) {
		int r = error_errno(reterr, -errno, "open the store", path);

		if (r == -ENOENT)
			error_hint(reterr, "make the directory, or set 'path' in [store] of vpmud.conf");
		return r;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(reterr, -EUCLEAN, "cannot open the store '%s': it is no regular file", path);
	return 0;
}

static int name_files(struct store_db *db, const char *path)
{
	_strbuf_ struct strbuf log_path = {};

	strbuf_addf(&log_path, "%s-wal", path);
	db->path = strdup(path);
	db->log_path = strbuf_take(&log_path);
	return db->path && db->log_path ? 0 : -ENOMEM;
}

int store_db_open(const char *path, bool to_write, struct store_db **ret_db, struct vpmu_error *reterr)
{
	_cleanup_(store_db_closep) struct store_db *db = calloc(1, sizeof(*db));
	int flags = to_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY, r;
	bool is_new = false;

	if (!db || name_files(db, path) < 0)
		return error_oom(reterr);
	r = to_write ? make_file(path, reterr) : 0;
	if (r < 0)
		return r;
	if (sqlite3_open_v2(path, &db->sql, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK)
		return db->sql ? db_fail(db, "open", reterr) : error_oom(reterr);
	sqlite3_extended_result_codes(db->sql, 1);
	sqlite3_busy_timeout(db->sql, BUSY_MS);
	r = check_ours(db, &is_new, reterr);
	if (r < 0)
		return r;
	if (is_new && !to_write)
		return error_set(reterr, -ENODATA, "the store '%s' is empty", path);
	if (is_new)
		r = make_tables(db, reterr);
	if (r < 0)
		return r;
	/* The log is emptied by hand, behind each transaction. What a damaged file says is not to be believed. */
	if (db_run(db, "PRAGMA synchronous = FULL") < 0 || db_run(db, "PRAGMA wal_autocheckpoint = 0") < 0 ||
	    db_run(db, "PRAGMA cache_size = -512") < 0 || db_run(db, "PRAGMA temp_store = MEMORY") < 0 ||
	    db_run(db, "PRAGMA trusted_schema = OFF") < 0 ||
	    db_run(db, "PRAGMA cell_size_check = ON") < 0)
		return db_fail(db, "open", reterr);
	*ret_db = take_ptr(db);
	return 0;
}

/* ---- looking ---- */

typedef VEC(int64_t) guest_ids;

static int wanted_guests(struct store_db *db, store_wanted_fn wanted, void *data, guest_ids *ret_ids)
{
	_statement_ sqlite3_stmt *s = db_prepare(db, "SELECT id, name, uuid FROM guests ORDER BY name <> '' DESC, id");
	int step;

	if (!s)
		return -1;
	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 1), *uuid = (const char *)sqlite3_column_text(s, 2);
		bool rest = name && uuid && !name[0] && !uuid[0];

		if (name && uuid && (!rest || ret_ids->n > 0) && wanted(name, uuid, data) &&
		    !vec_push(ret_ids, sqlite3_column_int64(s, 0)))
			return -1;
	}
	return step == SQLITE_DONE ? 0 : -1;
}

static int each_of_guest(struct store_db *db, sqlite3_stmt *s, int64_t guest, store_part_fn fn, void *data,
			 struct vpmu_error *reterr)
{
	int step, r = 0;

	sqlite3_bind_int64(s, 1, guest);
	while (r >= 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct store_part part;

		db_part_of(s, &part);
		r = fn(&part, data);
	}
	if (r >= 0 && step != SQLITE_DONE)
		r = db_fail(db, "read the store", reterr);
	sqlite3_reset(s);
	return r;
}

int store_db_each(struct store_db *db, store_wanted_fn wanted, int64_t since_ms, int64_t until_ms, store_part_fn fn,
		  void *data, struct vpmu_error *reterr)
{
	_statement_ sqlite3_stmt *s = db_prepare(db,
		"SELECT name, uuid, start_ms, end_ms, bytes FROM profiles JOIN guests ON guests.id = guest"
		" WHERE guest = ?1 AND start_ms > ?2 - 3600000 AND start_ms < ?3 AND end_ms > ?2 ORDER BY start_ms");
	guest_ids ids = {};
	int r = 0;

	if (!s || wanted_guests(db, wanted, data, &ids) < 0)
		r = db_fail(db, "read the store", reterr);
	sqlite3_bind_int64(s, 2, since_ms);
	sqlite3_bind_int64(s, 3, until_ms);
	for (size_t i = 0; r >= 0 && i < ids.n; i++)
		r = each_of_guest(db, s, ids.items[i], fn, data, reterr);
	vec_free(&ids);
	return r < 0 ? r : 0;
}

int store_db_guests(struct store_db *db, void (*fn)(const char *name, const char *uuid, void *data), void *data,
		    struct vpmu_error *reterr)
{
	_statement_ sqlite3_stmt *s = db_prepare(db,
		"SELECT name, uuid FROM guests WHERE (name <> '' OR uuid <> '') AND"
		" EXISTS (SELECT 1 FROM profiles WHERE guest = guests.id) ORDER BY name, uuid");
	int step = SQLITE_ERROR;

	while (s && (step = sqlite3_step(s)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0), *uuid = (const char *)sqlite3_column_text(s, 1);

		if (name && uuid)
			fn(name, uuid, data);
	}
	return step == SQLITE_DONE ? 0 : db_fail(db, "read the store", reterr);
}

static uint64_t file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

int store_db_stats(struct store_db *db, struct store_db_stats *ret_stats, struct vpmu_error *reterr)
{
	int64_t profiles, oldest;

	if (db_number(db, "SELECT count(*) FROM profiles", &profiles) < 0 ||
	    db_number(db, "SELECT ifnull(min(start_ms), 0) FROM profiles", &oldest) < 0)
		return db_fail(db, "read the store", reterr);
	*ret_stats = (struct store_db_stats){
		.bytes = file_bytes(db->path) + file_bytes(db->log_path),
		.profiles = (uint64_t)profiles,
		.oldest_ms = oldest,
	};
	return 0;
}

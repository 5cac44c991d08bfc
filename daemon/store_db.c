/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "store_db.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"
#include "util/vec.h"

/* PRAGMA application_id, in the file's header: "vpmu". And the version of the tables. */
#define APPLICATION_ID 0x76706d75
#define TABLES_VERSION 1

/* Somebody with the sqlite3 shell may hold the file for a moment. */
#define BUSY_MS 2000

/* Room between the limit and what the tables fill: for the log of a transaction, and what tables need besides rows. */
#define SPARE_BYTES_MAX (32u << 20)

/* So much is given back at a time: moving pages is work. */
#define VACUUM_PAGES 2048

#define HOUR_MS INT64_C(3600000)

struct store_db {
	sqlite3 *sql;
	char *path, *log_path;
};

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

/* ---- errors ---- */

static int errno_of(sqlite3 *sql)
{
	int system = sqlite3_system_errno(sql);

	switch (sqlite3_errcode(sql) & 0xff) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
		return -EACCES;
	}
	return system ? -system : -EIO;
}

static int fail(const struct store_db *db, const char *what, struct vpmu_error *reterr)
{
	int code = errno_of(db->sql);

	if (code == -ENOMEM)
		return error_oom(reterr);
	if (code != -EUCLEAN)
		return error_errno(reterr, code, what, db->path);
	if ((sqlite3_errcode(db->sql) & 0xff) == SQLITE_NOTADB)
		error_set(reterr, code, "cannot %s '%s': this is no store of vpmud's, and is left alone", what, db->path);
	else
		error_set(reterr, code, "cannot %s '%s': the file is damaged", what, db->path);
	error_hint(reterr, "move it away; vpmud then makes a new one");
	return code;
}

/* ---- statements ---- */

static int run(struct store_db *db, const char *sql)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

static sqlite3_stmt *finish(sqlite3_stmt *statement)
{
	sqlite3_finalize(statement);
	return NULL;
}
DEFINE_CLEANUP(sqlite3_stmt *, finish)

#define _statement_ _cleanup_(finishp)

static sqlite3_stmt *prepare(struct store_db *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	return sqlite3_prepare_v2(db->sql, sql, -1, &statement, NULL) == SQLITE_OK ? statement : NULL;
}

/* The one number that @sql gives. */
static int number(struct store_db *db, const char *sql, int64_t *ret_number)
{
	_statement_ sqlite3_stmt *s = prepare(db, sql);

	if (!s || sqlite3_step(s) != SQLITE_ROW)
		return -1;
	*ret_number = sqlite3_column_int64(s, 0);
	return 0;
}

/* Runs @statement, which gives no rows, and leaves it ready for the next time. */
static int step_over(sqlite3_stmt *statement)
{
	int r = sqlite3_step(statement);

	sqlite3_reset(statement);
	return r == SQLITE_DONE ? 0 : -1;
}

static int roll_back(struct store_db *db, const char *what, struct vpmu_error *reterr)
{
	int r = fail(db, what, reterr);

	/* A full disk may have ended the transaction already; then this fails, as it should. */
	(void)run(db, "ROLLBACK");
	return r;
}

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

	if (number(db, "PRAGMA application_id", &id) < 0 || number(db, "PRAGMA user_version", &version) < 0 ||
	    number(db, "SELECT count(*) FROM sqlite_master", &tables) < 0)
		return fail(db, "open", reterr);
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
		if (run(db, schema[i]) < 0)
			return roll_back(db, "make", reterr);
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
		return db->sql ? fail(db, "open", reterr) : error_oom(reterr);
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
	if (run(db, "PRAGMA synchronous = FULL") < 0 || run(db, "PRAGMA wal_autocheckpoint = 0") < 0 ||
	    run(db, "PRAGMA cache_size = -512") < 0 || run(db, "PRAGMA temp_store = MEMORY") < 0 ||
	    run(db, "PRAGMA trusted_schema = OFF") < 0 ||
	    run(db, "PRAGMA cell_size_check = ON") < 0)
		return fail(db, "open", reterr);
	*ret_db = take_ptr(db);
	return 0;
}

/* ---- putting in ---- */

struct room {
	int64_t page_bytes, pages, free_pages;
	uint64_t may_fill; /* bytes */
};

static int measure(struct store_db *db, const struct store_limits *limits, struct room *ret_room)
{
	uint64_t spare = MIN(limits->max_bytes / 4, SPARE_BYTES_MAX);

	ret_room->may_fill = limits->max_bytes - spare;
	if (number(db, "PRAGMA page_size", &ret_room->page_bytes) < 0 ||
	    number(db, "PRAGMA page_count", &ret_room->pages) < 0 ||
	    number(db, "PRAGMA freelist_count", &ret_room->free_pages) < 0)
		return -1;
	return 0;
}

static uint64_t filled_bytes(const struct room *room)
{
	return (uint64_t)(room->pages - room->free_pages) * (uint64_t)room->page_bytes;
}

/* What the tables take for @n bytes: pages that are not full, and the indices. */
static uint64_t taken_by(uint64_t n)
{
	return n + n / 4 + 256;
}

/* Deletes what ended before @before_ms. */
static int drop_before(struct store_db *db, int64_t before_ms)
{
	_statement_ sqlite3_stmt *s = prepare(db, "DELETE FROM profiles WHERE start_ms < ?1 AND end_ms <= ?1");

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, before_ms);
	return step_over(s);
}

/* Deletes the oldest, some at a time; the minute that the last of them begins in goes as a whole. */
static int drop_oldest(struct store_db *db)
{
	return run(db, "DELETE FROM profiles WHERE start_ms <= (SELECT max(start_ms) FROM"
		       " (SELECT start_ms FROM profiles ORDER BY start_ms LIMIT 32))");
}

static int make_room(struct store_db *db, uint64_t incoming, const struct store_limits *limits, int64_t now_ms)
{
	int64_t age_ms = (int64_t)MIN(limits->max_age_s, (uint64_t)INT64_MAX / 2000) * 1000;
	struct room room;

	if (drop_before(db, now_ms - age_ms) < 0)
		return -1;
	while (measure(db, limits, &room) == 0) {
		if (filled_bytes(&room) + incoming <= room.may_fill)
			return run(db, "DELETE FROM guests WHERE NOT EXISTS"
				       " (SELECT 1 FROM profiles WHERE guest = guests.id)");
		if (drop_oldest(db) < 0)
			return -1;
		if (sqlite3_changes(db->sql) == 0)
			return 0; /* empty: what comes was made sure to fit */
	}
	return -1;
}

static int insert(sqlite3_stmt *guest, sqlite3_stmt *profile, const struct store_part *part)
{
	sqlite3_bind_text(guest, 1, part->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(guest, 2, part->uuid, -1, SQLITE_STATIC);
	if (step_over(guest) < 0)
		return -1;
	sqlite3_bind_text(profile, 1, part->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(profile, 2, part->uuid, -1, SQLITE_STATIC);
	sqlite3_bind_int64(profile, 3, part->start_ms);
	sqlite3_bind_int64(profile, 4, part->end_ms);
	sqlite3_bind_blob64(profile, 5, part->bytes, part->n_bytes, SQLITE_STATIC);
	return step_over(profile);
}

static int insert_all(struct store_db *db, const struct store_part *parts, size_t n)
{
	_statement_ sqlite3_stmt *guest = prepare(db, "INSERT OR IGNORE INTO guests (name, uuid) VALUES (?1, ?2)");
	_statement_ sqlite3_stmt *profile = prepare(db,
		"INSERT INTO profiles (guest, start_ms, end_ms, bytes)"
		" VALUES ((SELECT id FROM guests WHERE name = ?1 AND uuid = ?2), ?3, ?4, ?5)");

	if (!guest || !profile)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (insert(guest, profile, &parts[i]) < 0)
			return -1;
	return 0;
}

/* Empties the log into the file; a reader may keep us from it this time. */
static void empty_log(struct store_db *db)
{
	sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

/* Gives pages back that are not needed: a file that is larger than it may be, or mostly empty. Failing is no harm. */
static void give_back(struct store_db *db, const struct store_limits *limits)
{
	_strbuf_ struct strbuf sql = {};
	struct room room;

	if (measure(db, limits, &room) < 0 ||
	    ((uint64_t)(room.pages * room.page_bytes) <= room.may_fill && room.free_pages <= room.pages / 2))
		return;
	strbuf_addf(&sql, "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
	if (!sql.failed && run(db, sql.text) == 0)
		empty_log(db);
}

int store_db_put(struct store_db *db, const struct store_part *parts, size_t n, const struct store_limits *limits,
		 int64_t now_ms, struct vpmu_error *reterr)
{
	uint64_t incoming = 0;

	for (size_t i = 0; i < n; i++)
		incoming += taken_by(parts[i].n_bytes);
	if (incoming > limits->max_bytes / 2)
		return error_set(reterr, -EFBIG, "what is to be kept of one minute is more than half of the store's max-size");
	if (run(db, "BEGIN IMMEDIATE") < 0)
		return fail(db, "write to the store", reterr);
	if (make_room(db, incoming, limits, now_ms) < 0 || insert_all(db, parts, n) < 0 || run(db, "COMMIT") < 0)
		return roll_back(db, "write to the store", reterr);
	empty_log(db);
	give_back(db, limits);
	return 0;
}

/* ---- looking ---- */

static void part_of(sqlite3_stmt *s, struct store_part *ret_part)
{
	*ret_part = (struct store_part){
		.name = (const char *)sqlite3_column_text(s, 0),
		.uuid = (const char *)sqlite3_column_text(s, 1),
		.start_ms = sqlite3_column_int64(s, 2),
		.end_ms = sqlite3_column_int64(s, 3),
		.bytes = sqlite3_column_blob(s, 4),
		.n_bytes = (size_t)sqlite3_column_bytes(s, 4),
	};
	/* NULL when memory runs out, and for a blob of no bytes. */
	if (!ret_part->name || !ret_part->uuid || !ret_part->bytes)
		*ret_part = (struct store_part){ .name = "", .uuid = "", .bytes = "" };
}

typedef VEC(int64_t) guest_ids;

static int wanted_guests(struct store_db *db, store_wanted_fn wanted, void *data, guest_ids *ret_ids)
{
	_statement_ sqlite3_stmt *s = prepare(db, "SELECT id, name, uuid FROM guests ORDER BY name <> '' DESC, id");
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

		part_of(s, &part);
		r = fn(&part, data);
	}
	if (r >= 0 && step != SQLITE_DONE)
		r = fail(db, "read the store", reterr);
	sqlite3_reset(s);
	return r;
}

int store_db_each(struct store_db *db, store_wanted_fn wanted, int64_t since_ms, int64_t until_ms, store_part_fn fn,
		  void *data, struct vpmu_error *reterr)
{
	_statement_ sqlite3_stmt *s = prepare(db,
		"SELECT name, uuid, start_ms, end_ms, bytes FROM profiles JOIN guests ON guests.id = guest"
		" WHERE guest = ?1 AND start_ms > ?2 - 3600000 AND start_ms < ?3 AND end_ms > ?2 ORDER BY start_ms");
	guest_ids ids = {};
	int r = 0;

	if (!s || wanted_guests(db, wanted, data, &ids) < 0)
		r = fail(db, "read the store", reterr);
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
	_statement_ sqlite3_stmt *s = prepare(db,
		"SELECT name, uuid FROM guests WHERE (name <> '' OR uuid <> '') AND"
		" EXISTS (SELECT 1 FROM profiles WHERE guest = guests.id) ORDER BY name, uuid");
	int step = SQLITE_ERROR;

	while (s && (step = sqlite3_step(s)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0), *uuid = (const char *)sqlite3_column_text(s, 1);

		if (name && uuid)
			fn(name, uuid, data);
	}
	return step == SQLITE_DONE ? 0 : fail(db, "read the store", reterr);
}

static uint64_t file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

int store_db_stats(struct store_db *db, struct store_db_stats *ret_stats, struct vpmu_error *reterr)
{
	int64_t profiles, oldest;

	if (number(db, "SELECT count(*) FROM profiles", &profiles) < 0 ||
	    number(db, "SELECT ifnull(min(start_ms), 0) FROM profiles", &oldest) < 0)
		return fail(db, "read the store", reterr);
	*ret_stats = (struct store_db_stats){
		.bytes = file_bytes(db->path) + file_bytes(db->log_path),
		.profiles = (uint64_t)profiles,
		.oldest_ms = oldest,
	};
	return 0;
}

/* ---- thinning ---- */

/* An hour of a guest's, and what becomes of it. */
struct hour {
	int64_t guest, start_ms;
	VEC(struct sum {
		void *bytes;
		size_t n;
	}) sums;
};

static void hour_deinit(struct hour *hour)
{
	vec_for_each(sum, &hour->sums)
		free(sum->bytes);
	vec_free(&hour->sums);
}

/* The guest and the hour of the oldest profile that is of less than an hour: 1, 0 if there is none, -1. */
static int oldest_minute(struct store_db *db, int64_t before_ms, struct hour *ret_hour)
{
	_statement_ sqlite3_stmt *s = prepare(db,
		"SELECT guest, start_ms FROM profiles WHERE start_ms < ?1 AND end_ms < start_ms + 3600000"
		" AND NOT EXISTS (SELECT 1 FROM temp.failed WHERE failed.guest = profiles.guest"
		" AND failed.hour_ms = profiles.start_ms / 3600000 * 3600000) ORDER BY start_ms LIMIT 1");
	int step;

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, before_ms);
	step = sqlite3_step(s);
	if (step != SQLITE_ROW)
		return step == SQLITE_DONE ? 0 : -1;
	ret_hour->guest = sqlite3_column_int64(s, 0);
	ret_hour->start_ms = sqlite3_column_int64(s, 1) / HOUR_MS * HOUR_MS;
	return ret_hour->start_ms + HOUR_MS <= before_ms;
}

/* In this connection's memory: what is damaged today may be mended when the file is opened the next time. */
static int leave_out(struct store_db *db, const struct hour *hour)
{
	_statement_ sqlite3_stmt *s = prepare(db, "INSERT INTO temp.failed (guest, hour_ms) VALUES (?1, ?2)");

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, hour->guest);
	sqlite3_bind_int64(s, 2, hour->start_ms);
	return step_over(s);
}

/* A sum of what came so far, if there is one. */
static int ask_for_sum(struct hour *hour, const struct store_part *part, store_sum_fn fn, void *data)
{
	struct sum sum = {};
	int r;

	if (!vec_reserve(&hour->sums, 1))
		return -ENOMEM;
	r = fn(part, &sum.bytes, &sum.n, data);
	if (sum.bytes)
		hour->sums.items[hour->sums.n++] = sum;
	return r;
}

static int sum_hour(struct store_db *db, struct hour *hour, store_sum_fn fn, void *data, struct vpmu_error *reterr)
{
	_statement_ sqlite3_stmt *s = prepare(db,
		"SELECT name, uuid, start_ms, end_ms, bytes FROM profiles JOIN guests ON guests.id = guest"
		" WHERE guest = ?1 AND start_ms >= ?2 AND start_ms < ?2 + 3600000 ORDER BY start_ms");
	int step, r = 0;

	if (!s)
		return fail(db, "read the store", reterr);
	sqlite3_bind_int64(s, 1, hour->guest);
	sqlite3_bind_int64(s, 2, hour->start_ms);
	while (r >= 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct store_part part;

		part_of(s, &part);
		r = ask_for_sum(hour, &part, fn, data);
	}
	if (r < 0)
		return r;
	return step == SQLITE_DONE ? ask_for_sum(hour, NULL, fn, data) : fail(db, "read the store", reterr);
}

static int replace_hour(struct store_db *db, const struct hour *hour)
{
	_statement_ sqlite3_stmt *drop = prepare(db,
		"DELETE FROM profiles WHERE guest = ?1 AND start_ms >= ?2 AND start_ms < ?2 + 3600000");
	_statement_ sqlite3_stmt *put = prepare(db, "INSERT INTO profiles (guest, start_ms, end_ms, bytes)"
						    " VALUES (?1, ?2, ?2 + 3600000, ?3)");

	if (!drop || !put)
		return -1;
	sqlite3_bind_int64(drop, 1, hour->guest);
	sqlite3_bind_int64(drop, 2, hour->start_ms);
	if (step_over(drop) < 0)
		return -1;
	sqlite3_bind_int64(put, 1, hour->guest);
	sqlite3_bind_int64(put, 2, hour->start_ms);
	vec_for_each(sum, &hour->sums) {
		sqlite3_bind_blob64(put, 3, sum->bytes, sum->n, SQLITE_STATIC);
		if (step_over(put) < 0)
			return -1;
	}
	return 0;
}

int store_db_thin(struct store_db *db, int64_t before_ms, store_sum_fn fn, void *data, struct vpmu_error *reterr)
{
	__attribute__((cleanup(hour_deinit))) struct hour hour = {};
	int r;

	if (run(db, "CREATE TEMP TABLE IF NOT EXISTS failed (guest INTEGER, hour_ms INTEGER, PRIMARY KEY (guest, hour_ms))") < 0)
		return fail(db, "read the store", reterr);
	r = oldest_minute(db, before_ms, &hour);
	if (r <= 0)
		return r < 0 ? fail(db, "read the store", reterr) : 0;
	r = sum_hour(db, &hour, fn, data, reterr);
	if (r < 0)
		return r == -ENOMEM || r == -EBUSY || leave_out(db, &hour) < 0 ? r : -ENOTRECOVERABLE;
	if (run(db, "BEGIN IMMEDIATE") < 0)
		return fail(db, "write to the store", reterr);
	if (replace_hour(db, &hour) < 0 || run(db, "COMMIT") < 0)
		return roll_back(db, "write to the store", reterr);
	empty_log(db);
	return 1;
}

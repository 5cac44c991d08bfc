/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "store_db_private.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"

/* Room between the limit and what the tables fill: for the log of a transaction, and what tables need besides rows. */
#define SPARE_BYTES_MAX (32u << 20)

/* So much is given back at a time: moving pages is work. */
#define VACUUM_PAGES 2048

struct room {
	int64_t page_bytes, pages, free_pages;
	uint64_t may_fill; /* bytes */
};

static int measure(struct store_db *db, const struct store_limits *limits, struct room *ret_room)
{
	uint64_t spare = MIN(limits->max_bytes / 4, SPARE_BYTES_MAX);

	ret_room->may_fill = limits->max_bytes - spare;
	if (db_number(db, "PRAGMA page_size", &ret_room->page_bytes) < 0 ||
	    db_number(db, "PRAGMA page_count", &ret_room->pages) < 0 ||
	    db_number(db, "PRAGMA freelist_count", &ret_room->free_pages) < 0)
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
	_statement_ sqlite3_stmt *s = db_prepare(db, "DELETE FROM profiles WHERE start_ms < ?1 AND end_ms <= ?1");

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, before_ms);
	return db_step_over(s);
}

/* Deletes the oldest, some at a time; the minute that the last of them begins in goes as a whole. */
static int drop_oldest(struct store_db *db)
{
	return db_run(db, "DELETE FROM profiles WHERE start_ms <= (SELECT max(start_ms) FROM"
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
			return db_run(db, "DELETE FROM guests WHERE NOT EXISTS"
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
	if (db_step_over(guest) < 0)
		return -1;
	sqlite3_bind_text(profile, 1, part->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(profile, 2, part->uuid, -1, SQLITE_STATIC);
	sqlite3_bind_int64(profile, 3, part->start_ms);
	sqlite3_bind_int64(profile, 4, part->end_ms);
	sqlite3_bind_blob64(profile, 5, part->bytes, part->n_bytes, SQLITE_STATIC);
	return db_step_over(profile);
}

static int insert_all(struct store_db *db, const struct store_part *parts, size_t n)
{
	_statement_ sqlite3_stmt *guest = db_prepare(db, "INSERT OR IGNORE INTO guests (name, uuid) VALUES (?1, ?2)");
	_statement_ sqlite3_stmt *profile = db_prepare(db,
		"INSERT INTO profiles (guest, start_ms, end_ms, bytes)"
		" VALUES ((SELECT id FROM guests WHERE name = ?1 AND uuid = ?2), ?3, ?4, ?5)");

	if (!guest || !profile)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (insert(guest, profile, &parts[i]) < 0)
			return -1;
	return 0;
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
	if (!sql.failed && db_run(db, sql.text) == 0)
		db_empty_log(db);
}

int store_db_put(struct store_db *db, const struct store_part *parts, size_t n, const struct store_limits *limits,
		 int64_t now_ms, struct vpmu_error *reterr)
{
	uint64_t incoming = 0;

	for (size_t i = 0; i < n; i++)
		incoming += taken_by(parts[i].n_bytes);
	if (incoming > limits->max_bytes / 2)
		return error_set(reterr, -EFBIG, "what is to be kept of one minute is more than half of the store's max-size");
	if (db_run(db, "BEGIN IMMEDIATE") < 0)
		return db_fail(db, "write to the store", reterr);
	if (make_room(db, incoming, limits, now_ms) < 0 || insert_all(db, parts, n) < 0 || db_run(db, "COMMIT") < 0)
		return db_roll_back(db, "write to the store", reterr);
	db_empty_log(db);
	give_back(db, limits);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "store_db_private.h"
#include "util/error.h"
#include "util/macro.h"

#define HOUR_MS INT64_C(3600000)

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
	_statement_ sqlite3_stmt *s = db_prepare(db,
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
	_statement_ sqlite3_stmt *s = db_prepare(db, "INSERT INTO temp.failed (guest, hour_ms) VALUES (?1, ?2)");

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 1, hour->guest);
	sqlite3_bind_int64(s, 2, hour->start_ms);
	return db_step_over(s);
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
	_statement_ sqlite3_stmt *s = db_prepare(db,
		"SELECT name, uuid, start_ms, end_ms, bytes FROM profiles JOIN guests ON guests.id = guest"
		" WHERE guest = ?1 AND start_ms >= ?2 AND start_ms < ?2 + 3600000 ORDER BY start_ms");
	int step, r = 0;

	if (!s)
		return db_fail(db, "read the store", reterr);
	sqlite3_bind_int64(s, 1, hour->guest);
	sqlite3_bind_int64(s, 2, hour->start_ms);
	while (r >= 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct store_part part;

		db_part_of(s, &part);
		r = ask_for_sum(hour, &part, fn, data);
	}
	if (r < 0)
		return r;
	return step == SQLITE_DONE ? ask_for_sum(hour, NULL, fn, data) : db_fail(db, "read the store", reterr);
}

static int replace_hour(struct store_db *db, const struct hour *hour)
{
	_statement_ sqlite3_stmt *drop = db_prepare(db,
		"DELETE FROM profiles WHERE guest = ?1 AND start_ms >= ?2 AND start_ms < ?2 + 3600000");
	_statement_ sqlite3_stmt *put = db_prepare(db, "INSERT INTO profiles (guest, start_ms, end_ms, bytes)"
						    " VALUES (?1, ?2, ?2 + 3600000, ?3)");

	if (!drop || !put)
		return -1;
	sqlite3_bind_int64(drop, 1, hour->guest);
	sqlite3_bind_int64(drop, 2, hour->start_ms);
	if (db_step_over(drop) < 0)
		return -1;
	sqlite3_bind_int64(put, 1, hour->guest);
	sqlite3_bind_int64(put, 2, hour->start_ms);
	vec_for_each(sum, &hour->sums) {
		sqlite3_bind_blob64(put, 3, sum->bytes, sum->n, SQLITE_STATIC);
		if (db_step_over(put) < 0)
			return -1;
	}
	return 0;
}

int store_db_thin(struct store_db *db, int64_t before_ms, store_sum_fn fn, void *data, struct vpmu_error *reterr)
{
	__attribute__((cleanup(hour_deinit))) struct hour hour = {};
	int r;

	if (db_run(db, "CREATE TEMP TABLE IF NOT EXISTS failed (guest INTEGER, hour_ms INTEGER, PRIMARY KEY (guest, hour_ms))") < 0)
		return db_fail(db, "read the store", reterr);
	r = oldest_minute(db, before_ms, &hour);
	if (r <= 0)
		return r < 0 ? db_fail(db, "read the store", reterr) : 0;
	r = sum_hour(db, &hour, fn, data, reterr);
	if (r < 0)
		return r == -ENOMEM || r == -EBUSY || leave_out(db, &hour) < 0 ? r : -ENOTRECOVERABLE;
	if (db_run(db, "BEGIN IMMEDIATE") < 0)
		return db_fail(db, "write to the store", reterr);
	if (replace_hour(db, &hour) < 0 || db_run(db, "COMMIT") < 0)
		return db_roll_back(db, "write to the store", reterr);
	db_empty_log(db);
	return 1;
}

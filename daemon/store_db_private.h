/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store's file as its parts see it: store_db.c opens it and looks, store_db_put.c puts minutes in and keeps it small,
 * store_db_thin.c makes hours of them; store_db_sql.c is how they speak to SQLite.
 */
#ifndef DAEMON_STORE_DB_PRIVATE_H
#define DAEMON_STORE_DB_PRIVATE_H

#include <sqlite3.h>

#include "store_db.h"
#include "util/vec.h"

struct store_db {
	sqlite3 *sql;
	char *path, *log_path;
};

static inline sqlite3_stmt *finish(sqlite3_stmt *statement)
{
	sqlite3_finalize(statement);
	return NULL;
}
DEFINE_CLEANUP(sqlite3_stmt *, finish)

#define _statement_ _cleanup_(finishp)

/* ---- store_db_sql.c; those without @reterr return -1, and SQLite knows why: db_fail() ---- */

int db_run(struct store_db *db, const char *sql);
sqlite3_stmt *db_prepare(struct store_db *db, const char *sql); /* NULL: it failed */

/* The one number that @sql gives. */
int db_number(struct store_db *db, const char *sql, int64_t *ret_number);

/* Runs @statement, which gives no rows, and leaves it ready for the next time. */
int db_step_over(sqlite3_stmt *statement);

/* The row of a profile: name, uuid, start_ms, end_ms, bytes. Belongs to the statement. */
void db_part_of(sqlite3_stmt *s, struct store_part *ret_part);

/* Empties the log into the file; a reader may keep us from it this time. */
void db_empty_log(struct store_db *db);

/* What went wrong, in words: "cannot @what 'path': …". Returns the code. */
int db_fail(const struct store_db *db, const char *what, struct vpmu_error *reterr);
/* And ends the transaction. */
int db_roll_back(struct store_db *db, const char *what, struct vpmu_error *reterr);

#endif

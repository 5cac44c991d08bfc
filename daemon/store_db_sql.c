/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "store_db_private.h"
#include "util/error.h"

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

int db_fail(const struct store_db *db, const char *what, struct vpmu_error *reterr)
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

int db_run(struct store_db *db, const char *sql)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

sqlite3_stmt *db_prepare(struct store_db *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	return sqlite3_prepare_v2(db->sql, sql, -1, &statement, NULL) == SQLITE_OK ? statement : NULL;
}

int db_number(struct store_db *db, const char *sql, int64_t *ret_number)
{
	_statement_ sqlite3_stmt *s = db_prepare(db, sql);

	if (!s || sqlite3_step(s) != SQLITE_ROW)
		return -1;
	*ret_number = sqlite3_column_int64(s, 0);
	return 0;
}

int db_step_over(sqlite3_stmt *statement)
{
	int r = sqlite3_step(statement);

	sqlite3_reset(statement);
	return r == SQLITE_DONE ? 0 : -1;
}

int db_roll_back(struct store_db *db, const char *what, struct vpmu_error *reterr)
{
	int r = db_fail(db, what, reterr);

	/* A full disk may have ended the transaction already; then this fails, as it should. */
	(void)db_run(db, "ROLLBACK");
	return r;
}

void db_part_of(sqlite3_stmt *s, struct store_part *ret_part)
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

void db_empty_log(struct store_db *db)
{
	sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

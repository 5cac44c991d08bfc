/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables for people: columns as wide as what is in them. On a terminal the columns that may be
 * cut are, so that a row stays one line; elsewhere nothing is cut and nothing depends on the
 * terminal's size. Where that is not enough, columns that can be done without are left out, the least
 * important first.
 *
 * Rows are not kept, a report may have a hundred thousand: each is put together twice, first to
 * be measured, then to be printed.
 *
 *	table_column(…) …
 *	for each row: table_cell(…) …; table_measure_row()
 *	table_print_head()
 *	for each row: table_cell(…) …; table_print_row()
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "output.h"

enum table_fit {
	TABLE_LEFT,	/* text */
	TABLE_RIGHT,	/* numbers */
	TABLE_CUT_HEAD, /* text; on a narrow terminal its end counts (paths) */
	TABLE_CUT_TAIL, /* text; on a narrow terminal its beginning counts (symbols) */
};

#define TABLE_COLUMNS_MAX 16

struct table_column {
	const char *title;
	enum table_fit fit;
	size_t width;
	uint64_t worth; /* the least goes first; 0 = it stays */
	bool dropped;
};

struct table_cell {
	size_t at, n; /* in the table's text */
	enum tint tint;
};

struct table {
	struct table_column columns[TABLE_COLUMNS_MAX];
	struct table_cell cells[TABLE_COLUMNS_MAX]; /* of the row being put together */
	size_t n_columns, n_cells;
	struct strbuf text; /* of the cells, cleaned */
};

void table_deinit(struct table *t);
#define _table_ __attribute__((cleanup(table_deinit)))

void table_column(struct table *t, const char *title, enum table_fit fit);
void table_column_spare(struct table *t, const char *title, enum table_fit fit, uint64_t worth);

/* The next cell of the row, from left to right. */
void table_cell(struct table *t, enum tint tint, const char *text);
void table_cellf(struct table *t, enum tint tint, const char *format, ...) _printf_(3, 4);
void table_cell_u64(struct table *t, enum tint tint, uint64_t value);
void table_cell_percent(struct table *t, enum tint tint, double percent); /* "12.34%" */

/* Ends the row. */
void table_measure_row(struct table *t);
void table_print_row(struct table *t, struct strbuf *out);

/* Fixes the columns' widths and prints the titles. */
void table_print_head(struct table *t, struct strbuf *out);

/* Behind the rows: a line that names the columns that are not there; nothing if all are. */
void table_print_dropped(const struct table *t, struct strbuf *out);

#endif

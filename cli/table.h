/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables for people: columns as wide as what is in them. On a terminal the columns that may be cut are, so that a row stays
 * one line; elsewhere nothing is cut and nothing depends on the terminal's size.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>
#include "output.h"
#include "util/vec.h"

enum table_fit {
	TABLE_LEFT,	/* text */
	TABLE_RIGHT,	/* numbers */
	TABLE_CUT_HEAD, /* text; on a narrow terminal its end counts (paths) */
	TABLE_CUT_TAIL, /* text; on a narrow terminal its beginning counts (symbols) */
};

struct table_column {
	const char *title;
	enum table_fit fit;
	size_t width;
};

#define TABLE_COLUMNS_MAX 16

struct table_cell {
	size_t at; /* in the table's text */
	enum tint tint;
};

struct table {
	struct table_column columns[TABLE_COLUMNS_MAX];
	size_t n_columns;
	struct strbuf text; /* all cells, cleaned, NUL-ended */
	VEC(struct table_cell) cells;
	size_t n_rows; /* complete ones */
};

void table_deinit(struct table *t);
#define _table_ __attribute__((cleanup(table_deinit)))

void table_column(struct table *t, const char *title, enum table_fit fit);

/* Adds cells from left to right; a row is complete when every column has one. */
void table_cell(struct table *t, enum tint tint, const char *text);
void table_cellf(struct table *t, enum tint tint, const char *format, ...) _printf_(3, 4);

/* Fixes the columns' widths; to be called once all rows are in. */
void table_fit(struct table *t);

/* Prints the titles, one row, or everything. */
void table_print_head(const struct table *t, struct strbuf *out);
void table_print_row(const struct table *t, size_t row, struct strbuf *out);
void table_print(struct table *t);

#endif

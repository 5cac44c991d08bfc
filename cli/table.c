/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "table.h"
#include "text.h"

#define GAP 2 /* blanks between columns */

void table_deinit(struct table *t)
{
	strbuf_deinit(&t->text);
	*t = (struct table){};
}

void table_column(struct table *t, const char *title, enum table_fit fit)
{
	if (t->n_columns < TABLE_COLUMNS_MAX)
		t->columns[t->n_columns++] = (struct table_column){ title, fit, strlen(title), 0, false };
}

void table_column_spare(struct table *t, const char *title, enum table_fit fit, uint64_t worth)
{
	if (t->n_columns < TABLE_COLUMNS_MAX)
		t->columns[t->n_columns++] = (struct table_column){ title, fit, strlen(title), worth, false };
}

/* What was appended to the text since @at is the next cell. */
static void end_cell(struct table *t, enum tint tint, size_t at)
{
	if (t->n_cells < t->n_columns)
		t->cells[t->n_cells++] = (struct table_cell){ at, t->text.n - at, tint };
}

void table_cell(struct table *t, enum tint tint, const char *text)
{
	size_t at = t->text.n;

	text_add_clean(&t->text, text);
	end_cell(t, tint, at);
}

void table_cellf(struct table *t, enum tint tint, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	table_cell(t, tint, text);
}

void table_cell_u64(struct table *t, enum tint tint, uint64_t value)
{
	size_t at = t->text.n;

	strbuf_add_u64(&t->text, value);
	end_cell(t, tint, at);
}

void table_cell_percent(struct table *t, enum tint tint, double percent)
{
	uint64_t hundredths = percent > 0 ? (uint64_t)(percent * 100 + 0.5) : 0;
	size_t at = t->text.n;

	strbuf_add_u64(&t->text, hundredths / 100);
	strbuf_addc(&t->text, '.');
	strbuf_addc(&t->text, (char)('0' + hundredths / 10 % 10));
	strbuf_addc(&t->text, (char)('0' + hundredths % 10));
	strbuf_addc(&t->text, '%');
	end_cell(t, tint, at);
}

static void end_row(struct table *t)
{
	strbuf_clear(&t->text);
	t->n_cells = 0;
}

void table_measure_row(struct table *t)
{
	for (size_t i = 0; i < t->n_cells && !t->text.failed; i++) {
		size_t width = text_width(t->text.text + t->cells[i].at, t->cells[i].n);

		t->columns[i].width = MAX(t->columns[i].width, width);
	}
	end_row(t);
}

/* With columns that may be cut as narrow as they get. */
static size_t least_width(const struct table *t)
{
	size_t width = 0;

	for (size_t i = 0; i < t->n_columns; i++) {
		const struct table_column *c = &t->columns[i];

		if (!c->dropped)
			width += (c->fit < TABLE_CUT_HEAD ? c->width : MIN(c->width, MAX(strlen(c->title), (size_t)8))) + GAP;
	}
	return width ? width - GAP : 0;
}

static void drop(struct table *t)
{
	while (output_width() && least_width(t) > output_width()) {
		struct table_column *least = NULL;

		for (size_t i = 0; i < t->n_columns; i++) {
			struct table_column *c = &t->columns[i];

			if (c->worth && !c->dropped && (!least || c->worth <= least->worth))
				least = c;
		}
		if (!least)
			return;
		least->dropped = true;
	}
}

/*
 * What the fixed columns leave is shared by those that may be cut: the last one gets two thirds,
 * unless the others need less. Nothing gets narrower than its title.
 */
static void fit(struct table *t)
{
	size_t total = output_width(), fixed = t->n_columns ? GAP * (t->n_columns - 1) : 0;
	size_t left, want = 0, n_cut = 0;

	for (size_t i = 0; i < t->n_columns; i++) {
		if (t->columns[i].dropped) {
			fixed -= GAP;
		} else if (t->columns[i].fit < TABLE_CUT_HEAD) {
			fixed += t->columns[i].width;
		} else {
			n_cut++;
			want += t->columns[i].width;
		}
	}
	if (!total || fixed + want <= total || !n_cut)
		return;
	left = total > fixed + n_cut * 8 ? total - fixed : n_cut * 8;
	for (size_t i = 0; i < t->n_columns; i++) {
		struct table_column *c = &t->columns[i];
		size_t share;

		if (c->fit < TABLE_CUT_HEAD || c->dropped)
			continue;
		share = n_cut == 1 ? left : left / (n_cut + 1);
		/* What the columns behind do not need is free for this one. */
		if (want - c->width + share < left)
			share = left - (want - c->width);
		want -= c->width;
		c->width = MAX(MIN(c->width, share), strlen(c->title));
		left -= MIN(left, c->width);
		n_cut--;
	}
}

static void add_blanks(struct strbuf *out, size_t n)
{
	char *place = strbuf_reserve(out, n);

	if (!place)
		return;
	memset(place, ' ', n);
	place[n] = '\0';
	out->n += n;
}

static void print_cell(const struct table *t, size_t column, const char *text, size_t n, enum tint tint,
		       struct strbuf *out)
{
	const struct table_column *c = &t->columns[column];
	size_t width = text_width(text, n), pad = c->width > width ? c->width - width : 0;
	bool last = column + 1 == t->n_columns;

	/* Blanks that nothing follows are not written. */
	if (c->dropped || (last && !n))
		return;
	if (column)
		add_blanks(out, GAP);
	if (c->fit == TABLE_RIGHT)
		add_blanks(out, pad);
	if (tint)
		strbuf_adds(out, output_tint(tint));
	if (width <= c->width || c->width < 4) {
		strbuf_add(out, text, n);
	} else if (c->fit == TABLE_CUT_HEAD) {
		size_t keep = text_tail(text, n, c->width - 2);

		strbuf_add(out, "..", 2);
		strbuf_add(out, text + n - keep, keep);
	} else {
		strbuf_add(out, text, text_head(text, n, c->width - 2));
		strbuf_add(out, "..", 2);
	}
	if (tint)
		strbuf_adds(out, output_plain());
	if (c->fit != TABLE_RIGHT && !last)
		add_blanks(out, pad);
}

void table_print_head(struct table *t, struct strbuf *out)
{
	drop(t);
	fit(t);
	strbuf_adds(out, output_tint(TINT_HEAD));
	for (size_t i = 0; i < t->n_columns; i++)
		print_cell(t, i, t->columns[i].title, strlen(t->columns[i].title), TINT_NONE, out);
	strbuf_adds(out, output_plain());
	strbuf_addc(out, '\n');
}

void table_print_dropped(const struct table *t, struct strbuf *out)
{
	const char *before = "no room for ";

	for (size_t i = 0; i < t->n_columns; i++) {
		if (!t->columns[i].dropped)
			continue;
		strbuf_addf(out, "%s%s", before, t->columns[i].title);
		before = ", ";
	}
	if (before[0] == ',')
		strbuf_addc(out, '\n');
}

void table_print_row(struct table *t, struct strbuf *out)
{
	out->failed |= t->text.failed;
	for (size_t i = 0; i < t->n_cells && !out->failed; i++)
		print_cell(t, i, t->text.text + t->cells[i].at, t->cells[i].n, t->cells[i].tint, out);
	strbuf_addc(out, '\n');
	end_row(t);
}

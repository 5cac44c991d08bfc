/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a view of vpmu top looks like: on a screen of a given size, as plain text, as JSON. */
#ifndef CLI_TOP_DRAW_H
#define CLI_TOP_DRAW_H

#include "top.h"
#include "util/strbuf.h"

struct json_object;

/* @rows lines of at most @columns columns; @view: NULL = nothing was seen yet. */
void top_draw_screen(const struct top_view *view, const struct top_look *look, const char *title, unsigned int rows,
		     unsigned int columns, struct strbuf *out);

void top_draw_text(const struct top_view *view, const struct top_look *look, struct strbuf *out);

/* {"time_ms", "interval_ns", "coverage", "rows"} */
struct json_object *top_json(const struct top_view *view, const struct top_look *look);

/* Rows of each half that are of use on a screen of so many lines. */
size_t top_rows_of(unsigned int lines);

#endif

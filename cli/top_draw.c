/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/shapes.h"
#include "util/macro.h"
#include "coverage.h"
#include "json.h"
#include "output.h"
#include "table.h"
#include "text.h"
#include "top_draw.h"

#define BAR_COLUMNS  10
#define HEADER_LINES 4 /* title, bar, coverage, a gap */

/* ---- pieces ---- */

/* Eighths of a column: a bar of @columns columns that is @part (of 1) full. */
static void add_bar(struct strbuf *out, double part, unsigned int columns, bool rest)
{
	static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	unsigned int n = (unsigned int)(MIN(MAX(part, 0), 1) * columns * 8 + 0.5);

	for (unsigned int i = 0; i < n / 8; i++)
		strbuf_adds(out, "█");
	strbuf_adds(out, eighths[n % 8]);
	for (unsigned int i = (n + 7) / 8; rest && i < columns; i++)
		strbuf_adds(out, "░");
}

static void add_clock(struct strbuf *out, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm t;
	char text[16];

	localtime_r(&seconds, &t);
	strftime(text, sizeof(text), "%H:%M:%S", &t);
	strbuf_adds(out, text);
}

static void add_interval(struct strbuf *out, uint64_t ns)
{
	if (ns % 1000000000 == 0)
		strbuf_addf(out, "%" PRIu64 " s", ns / 1000000000);
	else
		strbuf_addf(out, "%.1f s", (double)ns / 1e9);
}

static bool wanted(const struct top_look *look, bool half)
{
	return !look->sides || look->sides & (half ? VPMU_SIDES_GUEST : VPMU_SIDES_HOST);
}

static enum tint heat(double percent)
{
	return percent >= 5 ? TINT_HOT : percent >= 0.5 ? TINT_WARM : TINT_NONE;
}

/* ---- tables ---- */

static const struct {
	const char *title;
	enum table_fit fit;
} key_columns[VPMU_KEY_COUNT] = {
	[VPMU_KEY_GUEST] = { "Guest", TABLE_LEFT },	[VPMU_KEY_VCPU] = { "vCPU", TABLE_RIGHT },
	[VPMU_KEY_SIDE] = { "Side", TABLE_LEFT },	[VPMU_KEY_PROCESS] = { "Process", TABLE_LEFT },
	[VPMU_KEY_DSO] = { "DSO", TABLE_CUT_HEAD },	[VPMU_KEY_SYMBOL] = { "Symbol", TABLE_CUT_TAIL },
	[VPMU_KEY_LINE] = { "Line", TABLE_CUT_HEAD },
};

static void add_row(struct table *table, const struct vpmu_row *row, const bool *shown, double most, bool bars)
{
	_strbuf_ struct strbuf bar = {};

	table_cell_percent(table, heat(row->percent), row->percent);
	if (bars) {
		add_bar(&bar, most > 0 ? row->percent / most : 0, BAR_COLUMNS, false);
		table_cell(table, heat(row->percent), bar.text ? bar.text : "");
	}
	table_cell_u64(table, TINT_NONE, row->samples);
	for (int key = 0; key < VPMU_KEY_COUNT; key++)
		if (shown[key])
			table_cell(table, TINT_NONE, row->keys[key] && *row->keys[key] ? row->keys[key] : "-");
}

/* The @n first rows. */
static void add_table(const struct vpmu_row *rows, size_t n, bool bars, struct strbuf *out)
{
	_table_ struct table table = {};
	bool shown[VPMU_KEY_COUNT] = {};

	if (!n)
		return;
	table_column(&table, "Percent", TABLE_RIGHT);
	if (bars)
		table_column(&table, "", TABLE_LEFT);
	table_column(&table, "Samples", TABLE_RIGHT);
	for (int key = 0; key < VPMU_KEY_COUNT; key++)
		if ((shown[key] = rows[0].keys[key]))
			table_column(&table, key_columns[key].title, key_columns[key].fit);
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			table_print_head(&table, out);
		for (size_t i = 0; i < n; i++) {
			add_row(&table, &rows[i], shown, rows[0].percent, bars);
			if (pass)
				table_print_row(&table, out);
			else
				table_measure_row(&table);
		}
	}
}

static size_t rows_of_half(const struct top_view *view, bool half, size_t *ret_first)
{
	size_t n = 0;

	*ret_first = 0;
	for (size_t i = 0; i < view->n; i++) {
		if (view->rows[i].is_guest != half)
			continue;
		if (!n++)
			*ret_first = i;
	}
	return n;
}

static void add_half(const struct top_view *view, bool half, size_t limit, bool bars, struct strbuf *out)
{
	size_t first, n = rows_of_half(view, half, &first);

	strbuf_addf(out, "%s%s%s: %" PRIu64 " sample%s\n", output_tint(TINT_HEAD), half ? "Guest" : "Host",
		    output_plain(), view->samples[half], text_s(view->samples[half]));
	add_table(&view->rows[first], MIN(n, limit), bars, out);
}

/* ---- the screen ---- */

/* How busy the vCPUs were is known of clocks: a sample stands for so much time. 0 = not known. */
static double busy_cpus(const struct top_view *view)
{
	unsigned int hz;

	if (sscanf(view->coverage.source, "cpu-clock %u Hz", &hz) != 1 || !hz || !view->interval_ns)
		return 0;
	return (double)view->coverage.samples / hz * 1e9 / (double)view->interval_ns;
}

static void add_title(const struct top_view *view, const struct top_look *look, const char *title,
		      unsigned int columns, struct strbuf *out)
{
	_strbuf_ struct strbuf left = {}, right = {};
	size_t width;

	strbuf_adds(&left, "vpmu top  ");
	text_add_clean(&left, title);
	if (look->paused)
		strbuf_adds(&right, "paused at ");
	if (view)
		add_clock(&right, view->time_ms);
	strbuf_adds(&right, view ? ", every " : "every ");
	add_interval(&right, look->interval_ns);
	if (left.failed || right.failed)
		return;
	width = text_width(left.text, left.n);
	strbuf_addf(out, "%s%s%s", output_tint(TINT_HEAD), left.text, output_plain());
	if (width + right.n + 2 <= columns)
		strbuf_addf(out, "%*s%s", (int)(columns - width - right.n), "", right.text);
	strbuf_addc(out, '\n');
}

/* Which half the samples were of: the first thing to know about a guest that is slow. */
static void add_shares(const struct top_view *view, unsigned int columns, struct strbuf *out)
{
	uint64_t guest = view->samples[1], all = guest + view->samples[0];
	unsigned int bar = columns > 70 ? MIN(columns - 60, 60u) : 0;
	double busy = busy_cpus(view);

	if (!all) {
		strbuf_adds(out, "no samples: the vCPUs are idle\n");
		return;
	}
	strbuf_addf(out, "guest %5.1f%%%s%s", 100.0 * (double)guest / (double)all, bar ? "  " : "",
		    output_tint(TINT_GOOD));
	add_bar(out, (double)guest / (double)all, bar, true);
	strbuf_addf(out, "%s  host %5.1f%%", output_plain(), 100.0 * (double)view->samples[0] / (double)all);
	if (busy > 0)
		strbuf_addf(out, "   busy: %.2f CPUs", busy);
	strbuf_addc(out, '\n');
}

static void add_coverage(const struct top_view *view, struct strbuf *out)
{
	const struct vpmu_coverage *c = &view->coverage;

	strbuf_addf(out, "%s%" PRIu64 " sample%s, %.1f%% with a name", output_tint(TINT_FAINT), c->samples,
		    text_s(c->samples), c->samples ? 100.0 * (double)c->resolved / (double)c->samples : 0);
	if (c->opaque)
		strbuf_addf(out, ", %" PRIu64 " opaque", c->opaque);
	strbuf_addf(out, "%s%s, %" PRIu64 " lost%s%s", output_plain(), output_tint(c->lost ? TINT_BAD : TINT_FAINT), c->lost,
		    output_plain(), output_tint(TINT_FAINT));
	if (c->throttled)
		strbuf_addf(out, ", throttled %" PRIu64 " time%s", c->throttled, text_s(c->throttled));
	strbuf_adds(out, "; ");
	text_add_clean(out, c->source);
	strbuf_addf(out, "%s\n", output_plain());
}

static void add_help(struct strbuf *out)
{
	strbuf_adds(out, "  q      quit\n"
			 "  s      sort by other keys: what a line stands for\n"
			 "  d      guest and host, guest only, host only\n"
			 "  space  hold the picture, and go on\n"
			 "  + -    longer, shorter intervals\n"
			 "  h      this\n\n"
			 "Percentages are of the guest's half or of the host's, never of both.\n"
			 "Guest is code that ran inside the guest; host is KVM, the host's kernel and QEMU.\n");
}

static void add_keys(const struct top_look *look, struct strbuf *out)
{
	const char *sides = look->sides == VPMU_SIDES_GUEST ? "guest" : look->sides == VPMU_SIDES_HOST ? "host" : "guest+host";

	strbuf_addf(out, "%sq quit  h help  space %s  +/- interval  d %s  s by %s%s\n",
		    output_tint(TINT_FAINT), look->paused ? "go on" : "pause", sides, look->sort, output_plain());
}

/* Of so many lines for rows each half gets what it needs; if that is too much, the guest's two thirds. */
static size_t share_of(size_t lines, size_t needed, size_t needed_by_other, bool half)
{
	size_t fair = half ? lines - lines / 3 : lines / 3;

	if (needed <= fair)
		return needed;
	return needed_by_other < lines - fair ? lines - needed_by_other : fair;
}

static void add_halves(const struct top_view *view, const struct top_look *look, unsigned int lines,
		       struct strbuf *out)
{
	size_t first, needed[2], n = (size_t)wanted(look, 0) + wanted(look, 1);
	size_t room = lines > n * 3 ? lines - n * 3 : n; /* a title, a head and a gap each */

	for (int half = 0; half < 2; half++)
		needed[half] = wanted(look, half) ? rows_of_half(view, half, &first) : 0;
	for (int half = 1; half >= 0; half--) {
		size_t share = n == 1 ? room : share_of(room, needed[half], needed[!half], half);

		if (!wanted(look, half))
			continue;
		add_half(view, half, look->limit ? MIN(look->limit, share) : share, true, out);
		if (half && n == 2)
			strbuf_addc(out, '\n');
	}
}

static size_t count_lines(const struct strbuf *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->n; i++)
		n += text->text[i] == '\n';
	return n;
}

/* Exactly @lines lines. */
static void fit_lines(struct strbuf *text, size_t lines)
{
	for (size_t n = count_lines(text); n < lines && !text->failed; n++)
		strbuf_addc(text, '\n');
	for (size_t i = 0, n = 0; i < text->n; i++)
		if (text->text[i] == '\n' && ++n == lines) {
			text->n = i + 1;
			text->text[text->n] = '\0';
		}
}

void top_draw_screen(const struct top_view *view, const struct top_look *look, const char *title, unsigned int rows,
		     unsigned int columns, struct strbuf *out)
{
	add_title(view, look, title, columns, out);
	if (look->help) {
		strbuf_addc(out, '\n');
		add_help(out);
	} else if (view) {
		add_shares(view, columns, out);
		add_coverage(view, out);
		strbuf_addc(out, '\n');
		if (rows > HEADER_LINES + 1)
			add_halves(view, look, rows - HEADER_LINES - 1, out);
	} else {
		strbuf_adds(out, "looking …\n");
	}
	fit_lines(out, rows > 1 ? rows - 1 : 1);
	if (rows > 1)
		add_keys(look, out);
}

size_t top_rows_of(unsigned int lines)
{
	return lines > HEADER_LINES + 5 ? lines - HEADER_LINES - 5 : 1;
}

/* ---- for files and programs ---- */

void top_draw_text(const struct top_view *view, const struct top_look *look, struct strbuf *out)
{
	add_clock(out, view->time_ms);
	strbuf_adds(out, "  ");
	coverage_text(&view->coverage, out);
	for (int half = 1; half >= 0; half--)
		if (wanted(look, half) && view->samples[half])
			add_half(view, half, look->limit ? look->limit : SIZE_MAX, false, out);
	strbuf_addc(out, '\n');
}

struct json_object *top_json(const struct top_view *view, const struct top_look *look)
{
	struct json_object *object = json_new_object(), *rows = json_new_array();

	json_put_int(object, "time_ms", view->time_ms);
	json_put_int(object, "interval_ns", (int64_t)view->interval_ns);
	json_put(object, "coverage", shape_coverage(&view->coverage));
	for (size_t i = 0; i < view->n; i++)
		if (wanted(look, view->rows[i].is_guest))
			json_append(rows, shape_row(&view->rows[i], NULL));
	json_put(object, "rows", rows);
	return object;
}

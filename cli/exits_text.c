/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "util/macro.h"
#include "exits_show.h"
#include "output.h"
#include "table.h"
#include "text.h"

#define BAR_COLUMNS 40

void exits_time_text(uint64_t ns, char text[16])
{
	double value = (double)ns;

	if (ns < 1000)
		snprintf(text, 16, "%" PRIu64 " ns", ns);
	else if (ns < 1000000)
		snprintf(text, 16, "%.2f us", value / 1e3);
	else if (ns < 1000000000)
		snprintf(text, 16, "%.2f ms", value / 1e6);
	else
		snprintf(text, 16, "%.2f s", value / 1e9);
}

void exits_symbol(const struct exits_reading *reading, const struct vpmu_exit *exit, struct vpmu_frame *ret_frame)
{
	*ret_frame = (struct vpmu_frame){ .status = VPMU_FRAME_NO_SYMBOLS };
	if (!reading->exits)
		*ret_frame = reading->frames[exit - reading->rows.items];
	else if (!exit->nested) /* a guest's guest has other symbols */
		vpmu_exits_symbol(reading->exits, exit->guest, exit->value, ret_frame);
}

static void cell_time(struct table *table, uint64_t ns, bool is_known)
{
	char text[16];

	exits_time_text(ns, text);
	table_cell(table, is_known ? TINT_NONE : TINT_FAINT, is_known ? text : "-");
}

/* A part of an exit's time; nothing is not worth a number. */
static void cell_part(struct table *table, uint64_t ns, uint64_t whole_ns)
{
	if (!ns || !whole_ns)
		table_cell(table, TINT_FAINT, "");
	else
		table_cellf(table, TINT_NONE, "%.1f%%", 100 * (double)ns / (double)whole_ns);
}

/* ---- one row ---- */

static void cell_value(struct table *table, const struct exits_reading *reading, const struct vpmu_exit *exit)
{
	struct vpmu_frame frame;

	switch (exit->key) {
	case VPMU_EXIT_ADDRESS:
		exits_symbol(reading, exit, &frame);
		if (frame.status == VPMU_FRAME_OK)
			table_cellf(table, TINT_NONE, "%s+0x%" PRIx64, frame.symbol, frame.symbol_offset);
		else
			table_cell(table, TINT_FAINT, exit->name);
		break;
	case VPMU_EXIT_MSR:
	case VPMU_EXIT_PORT:
	case VPMU_EXIT_MMIO:
		table_cellf(table, TINT_NONE, "%s %s%s", exit->name, exit->write ? "write" : "read",
			    exit->zero ? " 0" : "");
		break;
	default:
		table_cellf(table, TINT_NONE, "%s%s", exit->nested ? "L2 " : "", exit->name);
	}
}

static void add_times(struct table *table, const struct vpmu_exit *exit, uint64_t elapsed_ns)
{
	uint64_t timed = exit->count - exit->untimed;
	bool is_timed = timed && exit->total_ns;

	cell_time(table, exit->total_ns, is_timed);
	if (is_timed && elapsed_ns)
		table_cell_percent(table, TINT_NONE, 100 * (double)exit->total_ns / (double)elapsed_ns);
	else
		table_cell(table, TINT_FAINT, "-");
	cell_time(table, timed ? exit->total_ns / timed : 0, is_timed);
	cell_time(table, vpmu_exit_percentile(exit, 99), is_timed);
	cell_time(table, exit->max_ns, is_timed);
	cell_part(table, exit->user_ns, exit->total_ns);
	cell_part(table, exit->blocked_ns, exit->total_ns);
	cell_part(table, exit->preempted_ns, exit->total_ns);
	cell_part(table, exit->polled_ns, exit->total_ns);
}

/* @timed: the table has times. */
static void add_row(struct table *table, const struct exits_reading *reading, const struct vpmu_exit *exit,
		    bool timed, uint64_t elapsed_ns)
{
	table_cell(table, TINT_NONE, reading->guests[exit->guest]);
	table_cell_u64(table, TINT_NONE, exit->vcpu);
	cell_value(table, reading, exit);
	if (timed && exit->key != VPMU_EXIT_REASON)
		table_cell(table, TINT_NONE, exit->reason);
	table_cell_u64(table, TINT_NONE, exit->count);
	table_cellf(table, TINT_NONE, "%.1f",
		    elapsed_ns ? (double)exit->count * 1e9 / (double)elapsed_ns : 0);
	if (timed)
		add_times(table, exit, elapsed_ns);
}

/* ---- tables ---- */

static void add_columns(struct table *table, enum vpmu_exit_key key, bool timed)
{
	static const char *const titles[VPMU_EXIT_KEY_COUNT] = {
		[VPMU_EXIT_REASON] = "REASON",	     [VPMU_EXIT_MSR] = "MSR",
		[VPMU_EXIT_PORT] = "PORT",	     [VPMU_EXIT_MMIO] = "PAGE",
		[VPMU_EXIT_CPUID] = "LEAF",	     [VPMU_EXIT_HYPERCALL] = "HYPERCALL",
		[VPMU_EXIT_FAULT] = "PAGE FAULT",    [VPMU_EXIT_VECTOR] = "VECTOR",
		[VPMU_EXIT_ADDRESS] = "INSTRUCTION", [VPMU_EXIT_TRIP] = "ROUND TRIP",
		[VPMU_EXIT_ANCILLARY] = "ANCILLARY", [VPMU_EXIT_USER] = "BACK IN VMM",
		[VPMU_EXIT_RUN] = "RAN UNTIL",
	};
	static const char *const times[] = { "TIME", "%WALL", "MEAN",	 "P99",	   "MAX",
					     "VMM",  "ASLEEP", "WAITING", "POLLED" };

	table_column(table, "GUEST", TABLE_CUT_TAIL);
	table_column(table, "VCPU", TABLE_RIGHT);
	table_column(table, titles[key], TABLE_CUT_TAIL);
	if (timed && key != VPMU_EXIT_REASON)
		table_column(table, "REASON", TABLE_LEFT);
	table_column(table, "COUNT", TABLE_RIGHT);
	table_column(table, "PER SECOND", TABLE_RIGHT);
	for (size_t i = 0; timed && i < ARRAY_SIZE(times); i++)
		table_column(table, times[i], TABLE_RIGHT);
}

/* Events have none: then there are no columns for them. */
static bool has_times(const struct vpmu_exit_rows *rows, enum vpmu_exit_key key)
{
	for (size_t i = 0; i < rows->n; i++)
		if (rows->items[i].key == key && rows->items[i].total_ns)
			return true;
	return false;
}

static void print_table(const struct exits_reading *reading, enum vpmu_exit_key key, struct strbuf *out)
{
	const struct vpmu_exit_rows *rows = &reading->rows;
	_table_ struct table table = {};
	bool timed = has_times(rows, key);

	add_columns(&table, key, timed);
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			table_print_head(&table, out);
		for (size_t i = 0; i < rows->n; i++) {
			if (rows->items[i].key != key)
				continue;
			add_row(&table, reading, &rows->items[i], timed, rows->end_ns - rows->start_ns);
			if (pass)
				table_print_row(&table, out);
			else
				table_measure_row(&table);
		}
	}
}

/* ---- histograms ---- */

static void print_histogram(const struct exits_reading *reading, const struct vpmu_exit *exit, struct strbuf *out)
{
	unsigned int first = VPMU_EXIT_BUCKETS, last = 0;
	uint64_t most = 0;

	for (unsigned int i = 0; i < VPMU_EXIT_BUCKETS; i++) {
		if (!exit->buckets[i])
			continue;
		first = MIN(first, i);
		last = i;
		most = MAX(most, exit->buckets[i]);
	}
	if (!most)
		return;
	strbuf_addc(out, '\n');
	text_add_clean(out, reading->guests[exit->guest]);
	strbuf_addf(out, " vCPU %" PRIu32 ", %s%s%s:\n", exit->vcpu, exit->nested ? "L2 " : "", exit->name,
		    exit->write ? " write" : "");
	for (unsigned int i = first; i <= last; i++) {
		int columns = (int)(exit->buckets[i] * BAR_COLUMNS / most);
		char below[16] = "more";

		if (vpmu_exit_bucket_ns(i) != UINT64_MAX)
			exits_time_text(vpmu_exit_bucket_ns(i), below);
		strbuf_addf(out, "  below %10s %12" PRIu64 "  %.*s\n", below, exit->buckets[i],
			    exit->buckets[i] ? MAX(columns, 1) : 0,
			    "########################################");
	}
}

/* ---- the whole ---- */

void exits_losses_text(const struct vpmu_exit_rows *rows)
{
	_strbuf_ struct strbuf out = {};

	if (rows->missed)
		strbuf_addf(&out, "%" PRIu64 " event%s %s missed\n", rows->missed, text_s(rows->missed),
			    text_were(rows->missed));
	if (rows->unfit)
		strbuf_addf(&out, "%" PRIu64 " exit%s found no room in the rows\n", rows->unfit, text_s(rows->unfit));
	if (rows->unsampled)
		strbuf_addf(&out, "%" PRIu64 " sample%s found no room in the stacks\n", rows->unsampled,
			    text_s(rows->unsampled));
	if (rows->lost_entries)
		strbuf_addf(&out, "%" PRIu64 " exit%s %s followed by another exit, without a time\n",
			    rows->lost_entries, text_s(rows->lost_entries), text_were(rows->lost_entries));
	if (rows->lost_exits)
		strbuf_addf(&out, "%" PRIu64 " %s not preceded by an exit\n", rows->lost_exits,
			    rows->lost_exits == 1 ? "entry was" : "entries were");
	output_write(&out);
}

static bool has_key(const struct vpmu_exit_rows *rows, enum vpmu_exit_key key)
{
	for (size_t i = 0; i < rows->n; i++)
		if (rows->items[i].key == key)
			return true;
	return false;
}

void exits_text(const struct exits_reading *reading, unsigned int keys, bool histograms)
{
	const struct vpmu_exit_rows *rows = &reading->rows;
	_strbuf_ struct strbuf out = {};
	bool any = false;

	for (int key = 0; key < VPMU_EXIT_KEY_COUNT; key++) {
		if (!(keys >> key & 1) || !has_key(rows, key))
			continue;
		if (any)
			strbuf_addc(&out, '\n');
		print_table(reading, key, &out);
		any = true;
	}
	if (!any)
		strbuf_adds(&out, "no exits\n");
	for (size_t i = 0; histograms && i < rows->n; i++)
		if (keys >> rows->items[i].key & 1)
			print_histogram(reading, &rows->items[i], &out);
	output_write(&out);
}

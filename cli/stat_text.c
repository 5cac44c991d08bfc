/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "util/macro.h"
#include "output.h"
#include "stat_text.h"
#include "table.h"

/* The parts of wall-time, in the order of the table's columns. */
static const struct {
	const char *title, *event;
} parts[] = {
	{ "IN-GUEST", "guest-time" }, { "VMM", "user-time" },	  { "KERNEL", "system-time" },
	{ "WAITING", "wait-time" },   { "ASLEEP", "sleep-time" },
};

static bool has_value(const struct vpmu_count *count)
{
	return count->status == VPMU_COUNT_OK || count->status == VPMU_COUNT_PARTIAL;
}

/* Of the table of times, with the whole. */
static bool is_part(const struct vpmu_count *count)
{
	if (!count->is_account)
		return false;
	if (streq(count->event, "wall-time"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (streq(count->event, parts[i].event))
			return true;
	return false;
}

static void cell_time(struct table *table, uint64_t ns)
{
	if (ns >= 100000000)
		table_cellf(table, TINT_NONE, "%.2f s", (double)ns / 1e9);
	else
		table_cellf(table, TINT_NONE, "%.3f ms", (double)ns / 1e6);
}

static void add_vcpu(struct table *table, const struct stat_reading *reading,
		     const struct vpmu_count *count)
{
	table_cell(table, TINT_NONE, reading->guests[count->guest]);
	table_cell_u64(table, TINT_NONE, count->vcpu);
}

/* ---- times ---- */

/* The next of the thread's times after @wall that is called @event; NULL if there is none. */
static const struct vpmu_count *find_part(const struct vpmu_count *wall,
					  const struct vpmu_count *end, const char *event)
{
	for (const struct vpmu_count *count = wall + 1; count < end && is_part(count); count++)
		if (streq(count->event, event))
			return count;
	return NULL;
}

static void add_times(struct table *table, const struct stat_reading *reading,
		      const struct vpmu_count *wall, const struct vpmu_count *end)
{
	add_vcpu(table, reading, wall);
	if (has_value(wall))
		cell_time(table, wall->value);
	else
		table_cell(table, TINT_FAINT, "-");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct vpmu_count *part = find_part(wall, end, parts[i].event);

		if (part && part->base)
			table_cell_percent(table, i == 0 ? TINT_GOOD : TINT_NONE,
					   part->ratio * 100);
		else
			table_cell(table, TINT_FAINT, "-");
	}
	table_cell(table, TINT_FAINT, wall->why ? wall->why : "");
}

static void print_times(const struct stat_reading *reading,
			struct strbuf *out)
{
	const struct vpmu_count *end = reading->counts.items + reading->counts.n;
	_table_ struct table table = {};

	table_column(&table, "GUEST", TABLE_CUT_TAIL);
	table_column(&table, "VCPU", TABLE_RIGHT);
	table_column(&table, "WALL", TABLE_RIGHT);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		table_column(&table, parts[i].title, TABLE_RIGHT);
	table_column(&table, "", TABLE_CUT_TAIL);
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			table_print_head(&table, out);
		for (const struct vpmu_count *count = reading->counts.items; count < end; count++) {
			if (!streq(count->event, "wall-time"))
				continue;
			add_times(&table, reading, count, end);
			if (pass)
				table_print_row(&table, out);
			else
				table_measure_row(&table);
		}
	}
}

/* ---- counts ---- */

static void add_ratio(const struct vpmu_count *count, uint64_t elapsed_ns, struct strbuf *note)
{
	if (count->base && starts_with(count->event, "instructions"))
		strbuf_addf(note, "%.2f per cycle", count->ratio);
	else if (count->base)
		strbuf_addf(note, "%.2f%% of %s", count->ratio * 100, count->base);
	else if (!count->is_time && elapsed_ns)
		strbuf_addf(note, "%.1f a second", (double)count->value * 1e9 / (double)elapsed_ns);
}

static void add_note(struct table *table, const struct vpmu_count *count, uint64_t elapsed_ns)
{
	_strbuf_ struct strbuf note = {};

	if (has_value(count))
		add_ratio(count, elapsed_ns, &note);
	if (count->scaled)
		strbuf_addf(&note, "%sscaled: counted %.1f%% of the time", note.n ? "; " : "",
			    100.0 * (double)count->running_ns / (double)count->enabled_ns);
	if (count->why)
		strbuf_addf(&note, "%s%s", note.n ? "; " : "", count->why);
	table_cell(table, TINT_FAINT, note.n ? note.text : "");
}

static void add_count(struct table *table, const struct stat_reading *reading,
		      const struct vpmu_count *count, uint64_t elapsed_ns)
{
	add_vcpu(table, reading, count);
	table_cell(table, TINT_NONE, vpmu_sides_name(count->sides));
	table_cell(table, TINT_NONE, count->event);
	if (!has_value(count))
		table_cell(table, TINT_FAINT, "-");
	else if (count->is_time)
		cell_time(table, count->value);
	else
		table_cell_u64(table, TINT_NONE, count->value);
	add_note(table, count, elapsed_ns);
}

static void print_counts(const struct stat_reading *reading,
			 struct strbuf *out)
{
	_table_ struct table table = {};

	table_column(&table, "GUEST", TABLE_CUT_TAIL);
	table_column(&table, "VCPU", TABLE_RIGHT);
	table_column(&table, "SIDE", TABLE_LEFT);
	table_column(&table, "EVENT", TABLE_LEFT);
	table_column(&table, "COUNT", TABLE_RIGHT);
	table_column(&table, "", TABLE_CUT_TAIL);
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			table_print_head(&table, out);
		for (size_t i = 0; i < reading->counts.n; i++) {
			if (is_part(&reading->counts.items[i]))
				continue;
			add_count(&table, reading, &reading->counts.items[i],
				  reading->counts.end_ns - reading->counts.start_ns);
			if (pass)
				table_print_row(&table, out);
			else
				table_measure_row(&table);
		}
	}
}

void stat_text(const struct stat_reading *reading)
{
	_strbuf_ struct strbuf out = {};

	if (reading->counts.n == 0) {
		strbuf_adds(&out, "no vCPU was there\n");
	} else {
		print_times(reading, &out);
		strbuf_addc(&out, '\n');
		print_counts(reading, &out);
	}
	output_write(&out);
}

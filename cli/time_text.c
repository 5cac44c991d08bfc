/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "util/macro.h"
#include "output.h"
#include "table.h"
#include "text.h"
#include "time_output.h"

#define TOP 5 /* reasons and competitors of a vCPU that are shown */

/* In the order of columns and bars. */
static const struct {
	enum vpmu_clock_part part;
	const char *title;
	bool always;	   /* else only where there is any */
	const char *glyph; /* in a bar */
	enum tint tint;
} parts[] = {
	{ VPMU_CLOCK_GUEST, "IN-GUEST", true, "█", TINT_GOOD },
	{ VPMU_CLOCK_EXIT, "EXITS", true, "▓", TINT_WARM },
	{ VPMU_CLOCK_QEMU, "QEMU", true, "▒", TINT_WARM },
	{ VPMU_CLOCK_STEAL, "STEAL", true, "x", TINT_BAD },
	{ VPMU_CLOCK_BLOCKED, "BLOCKED", true, "-", TINT_HOT },
	{ VPMU_CLOCK_BLOCKED_KVM, "IN-KVM", false, "=", TINT_HOT },
	{ VPMU_CLOCK_POLL, "POLLING", true, "░", TINT_FAINT },
	{ VPMU_CLOCK_HALT, "HALTED", true, "·", TINT_FAINT },
	{ VPMU_CLOCK_ASLEEP, "ASLEEP", false, "·", TINT_FAINT },
	{ VPMU_CLOCK_UNKNOWN, "UNKNOWN", false, "?", TINT_NONE },
};

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static bool is_shown(size_t i, const struct vpmu_clock_times *times)
{
	if (parts[i].always)
		return true;
	for (size_t v = 0; v < times->n; v++)
		if (times->items[v].parts[parts[i].part].ns)
			return true;
	return false;
}

/* Of a column where the terminal is narrow: 1 if it is all 0, else more than that of WALL. */
static uint64_t worth_of(size_t i, const struct vpmu_clock_times *times)
{
	uint64_t ns = 0;

	for (size_t v = 0; v < times->n; v++)
		ns += times->items[v].parts[parts[i].part].ns;
	return ns ? ns + 2 : 1;
}

static void cell_time(struct table *table, uint64_t ns)
{
	if (ns >= 100000000)
		table_cellf(table, TINT_NONE, "%.2f s", (double)ns / 1e9);
	else if (ns >= 100000)
		table_cellf(table, TINT_NONE, "%.3f ms", (double)ns / 1e6);
	else
		table_cellf(table, TINT_NONE, "%.3f us", (double)ns / 1e3);
}

static void cell_vcpu(struct table *table, const struct time_reading *reading, const struct vpmu_clock_vcpu *vcpu)
{
	table_cell(table, TINT_NONE, reading->guests[vcpu->guest]);
	table_cell_u64(table, TINT_NONE, vcpu->vcpu);
}

/* ---- parts ---- */

static void add_parts(struct table *table, const struct time_reading *reading, const struct vpmu_clock_vcpu *vcpu)
{
	cell_vcpu(table, reading, vcpu);
	cell_time(table, vcpu->wall_ns);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct vpmu_clock_time *time = &vcpu->parts[parts[i].part];

		if (!is_shown(i, &reading->times))
			continue;
		if (time->known)
			table_cell_percent(table, time->ns ? parts[i].tint : TINT_FAINT,
					   percent(time->ns, vcpu->wall_ns));
		else
			table_cell(table, TINT_FAINT, "-");
	}
}

static void print_parts(const struct time_reading *reading, struct strbuf *out)
{
	const struct vpmu_clock_times *times = &reading->times;
	_table_ struct table table = {};

	table_column(&table, "GUEST", TABLE_LEFT);
	table_column(&table, "VCPU", TABLE_RIGHT);
	table_column_spare(&table, "WALL", TABLE_RIGHT, 2);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (is_shown(i, times))
			table_column_spare(&table, parts[i].title, TABLE_RIGHT, worth_of(i, times));
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			table_print_head(&table, out);
		for (size_t i = 0; i < times->n; i++) {
			add_parts(&table, reading, &times->items[i]);
			if (pass)
				table_print_row(&table, out);
			else
				table_measure_row(&table);
		}
	}
	table_print_dropped(&table, out);
}

/* Each reason for what is missing or coarse once. */
static void print_whys(const struct vpmu_clock_times *times, struct strbuf *out)
{
	for (size_t i = 0; i < times->n; i++) {
		bool said = !times->items[i].why;

		for (size_t j = 0; j < i && !said; j++)
			said = times->items[j].why && streq(times->items[j].why, times->items[i].why);
		if (!said)
			strbuf_addf(out, "%s%s%s\n", output_tint(TINT_FAINT), times->items[i].why,
				    output_plain());
	}
}

/* ---- bars ---- */

#define BAR_MIN 20

/* @columns of a bar, by part. What is there at all has one, if there is room; the largest pays for it. */
static void divide_bar(const struct vpmu_clock_vcpu *vcpu, unsigned int columns,
		       unsigned int ret_columns[ARRAY_SIZE(parts)])
{
	unsigned int used = 0;
	size_t largest = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		uint64_t ns = vcpu->parts[parts[i].part].ns;
		double exact = vcpu->wall_ns ? (double)ns * columns / (double)vcpu->wall_ns : 0;

		ret_columns[i] = (unsigned int)(exact + 0.5);
		if (!ret_columns[i] && exact > 0.1)
			ret_columns[i] = 1;
		used += ret_columns[i];
		if (ret_columns[i] > ret_columns[largest])
			largest = i;
	}
	ret_columns[largest] = used > columns + ret_columns[largest]
				       ? 0
				       : ret_columns[largest] + columns - used;
}

static void print_bar(const struct vpmu_clock_vcpu *vcpu, unsigned int columns, struct strbuf *out)
{
	unsigned int widths[ARRAY_SIZE(parts)];

	divide_bar(vcpu, columns, widths);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!widths[i])
			continue;
		strbuf_adds(out, output_tint(parts[i].tint));
		for (unsigned int column = 0; column < widths[i]; column++)
			strbuf_adds(out, parts[i].glyph);
		strbuf_adds(out, output_plain());
	}
	strbuf_addc(out, '\n');
}

static void print_legend(const struct vpmu_clock_times *times, struct strbuf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (is_shown(i, times))
			strbuf_addf(out, "%s%s%s %s  ", output_tint(parts[i].tint), parts[i].glyph,
				    output_plain(), vpmu_clock_part_name(parts[i].part));
	strbuf_adds(out, "\n\n");
}

static void add_label(const struct time_reading *reading, const struct vpmu_clock_vcpu *vcpu, struct strbuf *out)
{
	text_add_clean(out, reading->guests[vcpu->guest]);
	strbuf_addf(out, " %u", (unsigned int)vcpu->vcpu);
}

static void print_bars(const struct time_reading *reading, struct strbuf *out)
{
	const struct vpmu_clock_times *times = &reading->times;
	unsigned int label_width = 0, width = output_width();

	for (size_t i = 0; i < times->n; i++) {
		_strbuf_ struct strbuf label = {};

		add_label(reading, &times->items[i], &label);
		label_width = MAX(label_width, (unsigned int)text_width(label.text, label.n));
	}
	label_width += 2;
	if (label_width + BAR_MIN > width)
		return;
	for (size_t i = 0; i < times->n; i++) {
		size_t at = out->n;

		add_label(reading, &times->items[i], out);
		strbuf_addf(out, "%*s", (int)(label_width - text_width(out->text + at, out->n - at)), "");
		print_bar(&times->items[i], width - label_width, out);
	}
	print_legend(times, out);
}

/* ---- details ---- */

/* Adds row @j of what @vcpu has several of, unless there is none that is to be shown. */
typedef bool (*detail_fn)(struct table *table, const struct time_reading *reading, const struct vpmu_clock_vcpu *vcpu, size_t j);

static void print_details(struct table *table, const struct time_reading *reading, detail_fn add, struct strbuf *out)
{
	size_t n = 0;

	for (int pass = 0; pass < 2; pass++) {
		if (pass && !n)
			return;
		if (pass) {
			strbuf_addc(out, '\n');
			table_print_head(table, out);
		}
		for (size_t i = 0; i < reading->times.n; i++)
			for (size_t j = 0; j < TOP && add(table, reading, &reading->times.items[i], j); j++, n++) {
				if (pass)
					table_print_row(table, out);
				else
					table_measure_row(table);
			}
	}
	table_print_dropped(table, out);
}

static bool add_reason(struct table *table, const struct time_reading *reading, const struct vpmu_clock_vcpu *vcpu, size_t j)
{
	const struct vpmu_clock_reason *reason = &vcpu->reasons[j];

	if (j >= vcpu->n_reasons)
		return false;
	cell_vcpu(table, reading, vcpu);
	table_cell(table, TINT_NONE, reason->name);
	table_cell_u64(table, TINT_NONE, reason->count);
	cell_time(table, reason->exit_ns);
	cell_time(table, reason->qemu_ns);
	table_cell_percent(table, TINT_NONE, percent(reason->exit_ns + reason->qemu_ns, vcpu->wall_ns));
	return true;
}

static void print_reasons(const struct time_reading *reading, struct strbuf *out)
{
	_table_ struct table table = {};

	table_column(&table, "GUEST", TABLE_LEFT);
	table_column(&table, "VCPU", TABLE_RIGHT);
	table_column(&table, "EXIT REASON", TABLE_LEFT);
	table_column_spare(&table, "COUNT", TABLE_RIGHT, 3);
	table_column_spare(&table, "KERNEL", TABLE_RIGHT, 1);
	table_column_spare(&table, "QEMU", TABLE_RIGHT, 2);
	table_column(&table, "OF WALL", TABLE_RIGHT);
	print_details(&table, reading, add_reason, out);
}

/* Those with a thousandth of the time. */
static bool add_competitor(struct table *table, const struct time_reading *reading, const struct vpmu_clock_vcpu *vcpu,
			   size_t j)
{
	const struct vpmu_clock_competitor *competitor = &vcpu->competitors[j];
	const char *guest;

	if (j >= vcpu->n_competitors || competitor->ns * 1000 < vcpu->wall_ns)
		return false;
	guest = reading->guest_of(competitor->pid, reading->data);
	cell_vcpu(table, reading, vcpu);
	table_cell(table, TINT_NONE, competitor->tid ? competitor->comm : "(the CPU was idle)");
	if (competitor->tid > 0)
		table_cell_u64(table, TINT_NONE, (uint64_t)competitor->tid);
	else
		table_cell(table, TINT_FAINT, "-");
	table_cell(table, TINT_NONE, guest ? guest : "");
	cell_time(table, competitor->ns);
	table_cell_percent(table, TINT_BAD, percent(competitor->ns, vcpu->wall_ns));
	return true;
}

static void print_competitors(const struct time_reading *reading, struct strbuf *out)
{
	_table_ struct table table = {};

	table_column(&table, "GUEST", TABLE_LEFT);
	table_column(&table, "VCPU", TABLE_RIGHT);
	table_column(&table, "RAN INSTEAD", TABLE_LEFT);
	table_column_spare(&table, "THREAD", TABLE_RIGHT, 1);
	table_column_spare(&table, "OF GUEST", TABLE_CUT_TAIL, 2);
	table_column_spare(&table, "TIME", TABLE_RIGHT, 3);
	table_column(&table, "OF WALL", TABLE_RIGHT);
	print_details(&table, reading, add_competitor, out);
}

void time_text(const struct time_reading *reading, bool details)
{
	_strbuf_ struct strbuf out = {};

	if (reading->times.n == 0) {
		strbuf_adds(&out, "no vCPU was there\n");
	} else {
		if (output_width())
			print_bars(reading, &out);
		print_parts(reading, &out);
		if (details)
			print_reasons(reading, &out);
		if (details)
			print_competitors(reading, &out);
		if (details)
			print_whys(&reading->times, &out);
	}
	output_write(&out);
}

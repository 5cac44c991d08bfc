/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmu exits --nested. A guest's guest (L2) leaves to us; what we do not handle ourselves is
 * reflected to its hypervisor (L1), which leaves to us many times itself until L2 runs again. For
 * each of L2's reasons: how many, how many of them L1 had to handle, how long it took until L2 ran
 * again, what L1 did in that time, and how long L2 ran before.
 */
#include <inttypes.h>

#include "client/meter_shapes.h"
#include "util/macro.h"
#include "exits_show.h"
#include "output.h"
#include "table.h"

static bool same_vcpu(const struct vpmu_exit *a, const struct vpmu_exit *b)
{
	return a->guest == b->guest && a->vcpu == b->vcpu && a->tid == b->tid;
}

static void add_vcpu(struct table *table, const struct exits_reading *reading, const struct vpmu_exit *exit)
{
	table_cell(table, TINT_NONE, reading->guests[exit->guest]);
	table_cell_u64(table, TINT_NONE, exit->vcpu);
}

static void cell_mean(struct table *table, uint64_t ns, uint64_t n)
{
	char text[16];

	exits_time_text(n ? ns / n : 0, text);
	table_cell(table, TINT_NONE, text);
}

/* ---- L2's exits ---- */

static void add_l2(struct table *table, const struct exits_reading *reading, const struct vpmu_exit *exit)
{
	const struct vpmu_exit_rows *rows = &reading->rows;
	const struct vpmu_exit *trip = shape_nested_row(rows, exit, VPMU_EXIT_TRIP, exit->code),
			       *run = shape_nested_row(rows, exit, VPMU_EXIT_RUN, exit->code);
	uint64_t ancillary = 0;
	char text[16];

	for (size_t i = 0; i < rows->n; i++)
		if (rows->items[i].key == VPMU_EXIT_ANCILLARY && same_vcpu(&rows->items[i], exit) &&
		    shape_trip_code(&rows->items[i]) == exit->code)
			ancillary += rows->items[i].count;
	add_vcpu(table, reading, exit);
	table_cell(table, TINT_NONE, exit->reason);
	table_cell_u64(table, TINT_NONE, exit->count);
	if (run)
		cell_mean(table, run->total_ns, run->count);
	else
		table_cell(table, TINT_FAINT, "-");
	if (!trip) {
		for (int i = 0; i < 5; i++)
			table_cell(table, TINT_FAINT, "-");
		return;
	}
	table_cell_u64(table, TINT_NONE, trip->count);
	table_cellf(table, TINT_NONE, "%.2f", (double)ancillary / (double)trip->count);
	cell_mean(table, trip->total_ns, trip->count);
	exits_time_text(vpmu_exit_percentile(trip, 99), text);
	table_cell(table, TINT_NONE, text);
	exits_time_text(trip->max_ns, text);
	table_cell(table, TINT_NONE, text);
}

static void l2_columns(struct table *table)
{
	static const char *const numbers[] = { "COUNT", "L2 RAN", "REFLECTED", "L1 EXITS EACH", "ROUND TRIP", "P99", "MAX" };

	table_column(table, "GUEST", TABLE_CUT_TAIL);
	table_column(table, "VCPU", TABLE_RIGHT);
	table_column(table, "L2 EXIT", TABLE_LEFT);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		table_column(table, numbers[i], TABLE_RIGHT);
}

/* ---- L1's for them ---- */

static void add_l1(struct table *table, const struct exits_reading *reading, const struct vpmu_exit *exit)
{
	double each = shape_per_trip(&reading->rows, exit);

	add_vcpu(table, reading, exit);
	table_cell(table, TINT_NONE, exit->name);
	table_cell(table, TINT_NONE, exit->reason);
	table_cell_u64(table, TINT_NONE, exit->count);
	if (each > 0)
		table_cellf(table, TINT_NONE, "%.3f", each);
	else
		table_cell(table, TINT_FAINT, "-");
	cell_mean(table, exit->total_ns, exit->count);
}

static void l1_columns(struct table *table)
{
	static const char *const numbers[] = { "COUNT", "EACH", "MEAN" };

	table_column(table, "GUEST", TABLE_CUT_TAIL);
	table_column(table, "VCPU", TABLE_RIGHT);
	table_column(table, "L2 EXIT", TABLE_LEFT);
	table_column(table, "L1 EXIT", TABLE_LEFT);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		table_column(table, numbers[i], TABLE_RIGHT);
}

/* ---- tables ---- */

static bool is_l2(const struct vpmu_exit *exit)
{
	return exit->key == VPMU_EXIT_REASON && exit->nested;
}

static bool is_l1(const struct vpmu_exit *exit)
{
	return exit->key == VPMU_EXIT_ANCILLARY;
}

static bool print_table(const struct exits_reading *reading,
			bool (*is_row)(const struct vpmu_exit *), void (*columns)(struct table *),
			void (*add)(struct table *, const struct exits_reading *, const struct vpmu_exit *),
			struct strbuf *out)
{
	const struct vpmu_exit_rows *rows = &reading->rows;
	_table_ struct table table = {};
	size_t n = 0;

	columns(&table);
	for (size_t i = 0; i < rows->n; i++) {
		if (!is_row(&rows->items[i]))
			continue;
		add(&table, reading, &rows->items[i]);
		table_measure_row(&table);
		n++;
	}
	if (!n)
		return false;
	table_print_head(&table, out);
	for (size_t i = 0; i < rows->n; i++) {
		if (!is_row(&rows->items[i]))
			continue;
		add(&table, reading, &rows->items[i]);
		table_print_row(&table, out);
	}
	return true;
}

void exits_nested_text(const struct exits_reading *reading)
{
	_strbuf_ struct strbuf out = {}, ancillary = {};

	if (!print_table(reading, is_l2, l2_columns, add_l2, &out))
		strbuf_adds(&out, *reading->silent ? "exits of guests of the guest are not to be had of this KVM\n" :
						     "no exits of guests of the guest\n");
	if (print_table(reading, is_l1, l1_columns, add_l1, &ancillary))
		strbuf_addf(&out, "\n%s", ancillary.text);
	output_write(&out);
}

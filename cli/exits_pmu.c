/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmu exits --pmu. A guest that uses its PMU writes MSRs, which KVM emulates (unless it lets the
 * guest have the real ones), reads counters by RDPMC, and is interrupted when one overflows. One
 * row for each operation, of all MSRs of a kind together.
 */
#include <stdio.h>
#include <string.h>

#include "util/macro.h"
#include "util/vec.h"
#include "exits_show.h"
#include "json.h"
#include "output.h"
#include "table.h"


struct operation {
	char name[40];
	struct vpmu_exit sum; /* of the rows; key, name and the like are the first one's */
};

struct operations {
	VEC(struct operation) items;
};

static void operations_deinit(struct operations *operations)
{
	vec_free(&operations->items);
}
#define _operations_ __attribute__((cleanup(operations_deinit)))

/* What @exit is in terms of a PMU; false if it has nothing to do with one. */
static bool name_of(const struct vpmu_exit *exit, char *name, size_t room)
{
	if (exit->key == VPMU_EXIT_VECTOR && exit->nmi) {
		snprintf(name, room, "PMI");
		return true;
	}
	if (exit->key == VPMU_EXIT_REASON &&
	    (streq(exit->reason, "RDPMC") || streq(exit->reason, "rdpmc"))) {
		snprintf(name, room, "rdpmc");
		return true;
	}
	if (exit->key != VPMU_EXIT_MSR || !*exit->pmu)
		return false;
	if (exit->write && streq(exit->pmu, "global_ctrl"))
		snprintf(name, room, "%s %s", exit->zero ? "disable" : "enable", exit->pmu);
	else
		snprintf(name, room, "%s %s", exit->write ? "write" : "read", exit->pmu);
	return true;
}

static void merge(struct vpmu_exit *sum, const struct vpmu_exit *exit)
{
	bool had_times = sum->count > sum->untimed, has_times = exit->count > exit->untimed;

	if (has_times) {
		sum->min_ns = had_times ? MIN(sum->min_ns, exit->min_ns) : exit->min_ns;
		sum->max_ns = had_times ? MAX(sum->max_ns, exit->max_ns) : exit->max_ns;
	}
	sum->count += exit->count;
	sum->untimed += exit->untimed;
	sum->total_ns += exit->total_ns;
	for (int i = 0; i < VPMU_EXIT_BUCKETS; i++)
		sum->buckets[i] += exit->buckets[i];
}

static bool same_vcpu(const struct vpmu_exit *a, const struct vpmu_exit *b)
{
	return a->guest == b->guest && a->vcpu == b->vcpu;
}

/* What finds no memory is left out; the next reading has it. */
static void collect(const struct vpmu_exit_rows *rows, struct operations *ret)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct vpmu_exit *exit = &rows->items[i];
		struct operation new = {}, *found = NULL;

		if (!name_of(exit, new.name, sizeof(new.name)))
			continue;
		vec_for_each (operation, &ret->items)
			if (same_vcpu(&operation->sum, exit) && streq(operation->name, new.name))
				found = operation;
		if (found) {
			merge(&found->sum, exit);
			continue;
		}
		new.sum = *exit;
		(void)vec_push(&ret->items, new);
	}
}

/* ---- for people ---- */

static void cell_time(struct table *table, const struct vpmu_exit *sum, uint64_t ns)
{
	char text[16];

	exits_time_text(ns, text);
	if (sum->count > sum->untimed)
		table_cell(table, TINT_NONE, text);
	else
		table_cell(table, TINT_FAINT, "-");
}

static void add_row(struct table *table, const struct exits_reading *reading, const struct operation *operation,
		    uint64_t elapsed_ns)
{
	const struct vpmu_exit *sum = &operation->sum;
	uint64_t timed = sum->count - sum->untimed;

	table_cell(table, TINT_NONE, reading->guests[sum->guest]);
	table_cell_u64(table, TINT_NONE, sum->vcpu);
	table_cell(table, TINT_NONE, operation->name);
	table_cell_u64(table, TINT_NONE, sum->count);
	table_cellf(table, TINT_NONE, "%.1f", elapsed_ns ? (double)sum->count * 1e9 / (double)elapsed_ns : 0);
	cell_time(table, sum, sum->total_ns);
	cell_time(table, sum, sum->min_ns);
	cell_time(table, sum, timed ? sum->total_ns / timed : 0);
	cell_time(table, sum, vpmu_exit_percentile(sum, 99));
	cell_time(table, sum, sum->max_ns);
}

void exits_pmu_text(const struct exits_reading *reading)
{
	const struct vpmu_exit_rows *rows = &reading->rows;
	static const char *const numbers[] = { "COUNT", "PER SECOND", "TIME", "MIN", "MEAN", "P99", "MAX" };
	_operations_ struct operations operations = {};
	_strbuf_ struct strbuf out = {};
	_table_ struct table table = {};

	collect(rows, &operations);
	table_column(&table, "GUEST", TABLE_CUT_TAIL);
	table_column(&table, "VCPU", TABLE_RIGHT);
	table_column(&table, "OPERATION", TABLE_LEFT);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		table_column(&table, numbers[i], TABLE_RIGHT);
	vec_for_each (operation, &operations.items) {
		add_row(&table, reading, operation, rows->end_ns - rows->start_ns);
		table_measure_row(&table);
	}
	if (operations.items.n)
		table_print_head(&table, &out);
	else
		strbuf_adds(&out, "the guests did not use their PMUs, or they have the real ones\n");
	vec_for_each (operation, &operations.items) {
		add_row(&table, reading, operation, rows->end_ns - rows->start_ns);
		table_print_row(&table, &out);
	}
	output_write(&out);
}

/* ---- for programs ---- */

struct json_object *exits_pmu_json(const struct exits_reading *reading)
{
	_operations_ struct operations operations = {};
	struct json_object *list = json_new_array();

	collect(&reading->rows, &operations);
	vec_for_each (operation, &operations.items) {
		const struct vpmu_exit *sum = &operation->sum;
		struct json_object *row = json_new_object();

		json_put_string(row, "guest", reading->guests[sum->guest]);
		json_put_int(row, "vcpu", sum->vcpu);
		json_put_string(row, "operation", operation->name);
		json_put_int(row, "count", (int64_t)sum->count);
		json_put_int(row, "untimed", (int64_t)sum->untimed);
		json_put_int(row, "total_ns", (int64_t)sum->total_ns);
		json_put_int(row, "min_ns", (int64_t)sum->min_ns);
		json_put_int(row, "p99_ns", (int64_t)vpmu_exit_percentile(sum, 99));
		json_put_int(row, "max_ns", (int64_t)sum->max_ns);
		json_append(list, row);
	}
	return list;
}

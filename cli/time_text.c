/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "util/macro.h"
#include "output.h"
#include "table.h"
#include "text.h"
#include "time_text.h"

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

static void cell_time(struct table *table, uint64_t ns)
{
	if (ns >= 100000000)
		table_cellf(table, TINT_NONE, "%.2f s", (double)ns / 1e9);
	else if (ns >= 100000)
		table_cellf(table, TINT_NONE, "%.3f ms", (double)ns / 1e6);
	else
		table_cellf(table, TINT_NONE, "%.3f us", (double)ns / 1e3);
}

static void cell_vcpu(struct table *table, const struct vpmu_clock *clock,
		      const struct vpmu_clock_vcpu *vcpu)
{
	table_cell(table, TINT_NONE, vpmu_clock_guest(clock, vcpu->guest)->name);
	table_cell_u64(table, TINT_NONE, vcpu->vcpu);
}

/* ---- parts ---- */

static void add_parts(struct table *table, const struct vpmu_clock *clock,
		      const struct vpmu_clock_times *times, const struct vpmu_clock_vcpu *vcpu)
{
	cell_vcpu(table, clock, vcpu);
	cell_time(table, vcpu->wall_ns);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct vpmu_clock_time *time = &vcpu->parts[parts[i].part];

		if (!is_shown(i, times))
			continue;
		if (time->known)
			table_cell_percent(table, time->ns ? parts[i].tint : TINT_FAINT,
					   percent(time->ns, vcpu->wall_ns));
		else
			table_cell(table, TINT_FAINT, "-");
	}
}

static void print_parts(const struct vpmu_clock *clock, const struct vpmu_clock_times *times,
			struct strbuf *out)
{
	_table_ struct table table = {};

	table_column(&table, "GUEST", TABLE_CUT_TAIL);
	table_column(&table, "VCPU", TABLE_RIGHT);
	table_column(&table, "WALL", TABLE_RIGHT);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (is_shown(i, times))
			table_column(&table, parts[i].title, TABLE_RIGHT);
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			table_print_head(&table, out);
		for (size_t i = 0; i < times->n; i++) {
			add_parts(&table, clock, times, &times->items[i]);
			if (pass)
				table_print_row(&table, out);
			else
				table_measure_row(&table);
		}
	}
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

/* ---- details ---- */

static void add_reason(struct table *table, const struct vpmu_clock *clock,
		       const struct vpmu_clock_vcpu *vcpu, const struct vpmu_clock_reason *reason)
{
	cell_vcpu(table, clock, vcpu);
	table_cell(table, TINT_NONE, reason->name);
	table_cell_u64(table, TINT_NONE, reason->count);
	cell_time(table, reason->exit_ns);
	cell_time(table, reason->qemu_ns);
	table_cell_percent(table, TINT_NONE, percent(reason->exit_ns + reason->qemu_ns, vcpu->wall_ns));
}

static void print_reasons(const struct vpmu_clock *clock, const struct vpmu_clock_times *times,
			  struct strbuf *out)
{
	_table_ struct table table = {};
	size_t n = 0;

	table_column(&table, "GUEST", TABLE_CUT_TAIL);
	table_column(&table, "VCPU", TABLE_RIGHT);
	table_column(&table, "EXIT REASON", TABLE_LEFT);
	table_column(&table, "COUNT", TABLE_RIGHT);
	table_column(&table, "KERNEL", TABLE_RIGHT);
	table_column(&table, "QEMU", TABLE_RIGHT);
	table_column(&table, "OF WALL", TABLE_RIGHT);
	for (int pass = 0; pass < 2; pass++) {
		if (pass && !n)
			return;
		if (pass) {
			strbuf_addc(out, '\n');
			table_print_head(&table, out);
		}
		for (size_t i = 0; i < times->n; i++) {
			const struct vpmu_clock_vcpu *vcpu = &times->items[i];

			for (size_t j = 0; j < MIN(vcpu->n_reasons, (size_t)TOP); j++, n++) {
				add_reason(&table, clock, vcpu, &vcpu->reasons[j]);
				if (pass)
					table_print_row(&table, out);
				else
					table_measure_row(&table);
			}
		}
	}
}

void time_text(const struct vpmu_clock *clock, const struct vpmu_clock_times *times, bool details)
{
	_strbuf_ struct strbuf out = {};

	if (times->n == 0) {
		strbuf_adds(&out, "no vCPU was there\n");
	} else {
		print_parts(clock, times, &out);
		if (details)
			print_reasons(clock, times, &out);
		if (details)
			print_whys(times, &out);
	}
	output_write(&out);
}

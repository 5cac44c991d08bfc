/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "util/macro.h"
#include "calltree.h"
#include "output.h"
#include "report_text.h"
#include "table.h"
#include "text.h"

static const struct {
	const char *title;
	enum table_fit fit;
} key_columns[VPMU_KEY_COUNT] = {
	[VPMU_KEY_GUEST] = { "Guest", TABLE_LEFT },	    [VPMU_KEY_VCPU] = { "vCPU", TABLE_RIGHT },
	[VPMU_KEY_SIDE] = { "Side", TABLE_LEFT },	    [VPMU_KEY_PROCESS] = { "Process", TABLE_LEFT },
	[VPMU_KEY_DSO] = { "DSO", TABLE_CUT_HEAD },	    [VPMU_KEY_SYMBOL] = { "Symbol", TABLE_CUT_TAIL },
	[VPMU_KEY_LINE] = { "Line", TABLE_CUT_HEAD },
};

static enum tint heat(double percent)
{
	return percent >= 5 ? TINT_HOT : percent >= 0.5 ? TINT_WARM : TINT_NONE;
}

static void add_columns(struct table *table, const struct vpmu_row *row, bool children, bool *ret_shown)
{
	table_column(table, "Percent", TABLE_RIGHT);
	if (children)
		table_column(table, "Self", TABLE_RIGHT);
	table_column(table, "Samples", TABLE_RIGHT);
	for (int key = 0; key < VPMU_KEY_COUNT; key++)
		if ((ret_shown[key] = row->keys[key]))
			table_column(table, key_columns[key].title, key_columns[key].fit);
}

/* @shown: which keys have a column. */
static void add_row(struct table *table, const struct vpmu_row *row, const bool *shown, bool children)
{
	table_cell_percent(table, heat(row->percent), row->percent);
	if (children)
		table_cell_percent(table, heat(row->self_percent), row->self_percent);
	table_cell_u64(table, TINT_NONE, row->samples);
	for (int key = 0; key < VPMU_KEY_COUNT; key++) {
		const char *text = row->keys[key];

		if (shown[key])
			table_cell(table, TINT_NONE, text && *text ? text : "-");
	}
}

/* Rows of the half, from @i on; returns where the other half begins. */
static size_t print_half(const struct vpmu_report *report, size_t i, bool of_guest, const struct vpmu_report_opts *opts,
			 struct report_unnamed *unnamed)
{
	_table_ struct table table = {};
	_strbuf_ struct strbuf out = {};
	bool shown[VPMU_KEY_COUNT] = {}, children = opts->children;
	double left_out = vpmu_report_weight(report, of_guest) ? 100 : 0;
	const struct vpmu_row *row;
	size_t n = 0;

	for (; (row = vpmu_report_row(report, i + n)) && row->is_guest == of_guest; n++) {
		if (!n)
			add_columns(&table, row, children, shown);
		add_row(&table, row, shown, children);
		table_measure_row(&table);
		left_out -= row->self_percent;
		if (shown[VPMU_KEY_SYMBOL])
			unnamed->samples[of_guest][row->status] += row->self_samples;
	}
	if (n)
		table_print_head(&table, &out);
	for (size_t k = 0; k < n && !out.failed; k++) {
		row = vpmu_report_row(report, i + k);
		add_row(&table, row, shown, children);
		table_print_row(&table, &out);
		if (calltree_print(report, i + k, opts->callees, 10, &out))
			strbuf_addc(&out, '\n');
		if (out.n > 65536)
			output_write(&out);
	}
	if (left_out >= 0.005 && !children)
		strbuf_addf(&out, "%6.2f%%  in rows that are left out\n", left_out);
	output_write(&out);
	return i + n;
}

void report_text(const struct vpmu_report *report, const struct vpmu_report_opts *opts,
		 const struct vpmu_event_info *event, struct report_unnamed *unnamed)
{
	size_t i = 0;

	for (int half = 1; half >= 0; half--) {
		_strbuf_ struct strbuf head = {};
		uint64_t samples = vpmu_report_samples(report, half);
		unsigned int sides = half ? VPMU_SIDES_GUEST : VPMU_SIDES_HOST;

		if (opts->sides && !(opts->sides & sides))
			continue;
		/*
		 * Of several events some are of one half only (cycles:G, cycles:H): no words
		 * about the other.
		 */
		if (event && !samples)
			continue;
		strbuf_addf(&head, "\n%s%s%s: %" PRIu64 " sample%s", output_tint(TINT_HEAD), half ? "Guest" : "Host",
			    output_plain(), samples, text_s(samples));
		if (event) {
			strbuf_adds(&head, " of ");
			text_add_clean(&head, event->name);
		}
		strbuf_addc(&head, '\n');
		output_write(&head);
		i = print_half(report, i, half, opts, unnamed);
	}
}

/* Worth a word when it is more than a few stray addresses. */
static bool many(uint64_t n, uint64_t of)
{
	return n > 0 && n >= of / 20;
}

/* Guests' chains come from a program in the host's kernel, which may not be there, and cannot walk every stack. */
static void say_chainless(const struct vpmu_coverage *recorded)
{
	uint64_t n_guest = vpmu_coverage_guest(recorded), n_chains = MIN(recorded->guest_chains, n_guest);

	if (!many(n_guest - n_chains, n_guest))
		return;
	say("%" PRIu64 " of the recording's %" PRIu64 " guest sample%s %s no call chain%s.", n_guest - n_chains, n_guest,
	    text_s(n_guest), n_guest - n_chains == 1 ? "has" : "have",
	    n_chains ? "" : ": 'vpmu record -g' takes them, where the kernel lets it");
}

static void say_unnamed(const struct report_unnamed *unnamed, const struct vpmu_coverage *coverage)
{
	const uint64_t *guest = unnamed->samples[1], *host = unnamed->samples[0];
	uint64_t n_guest = vpmu_coverage_guest(coverage), n_host = vpmu_coverage_host(coverage);

	if (many(guest[VPMU_FRAME_UNMAPPED] + guest[VPMU_FRAME_NO_SYMBOLS], n_guest))
		say(unnamed->named_by_vpmud ?
			    "Guest addresses without names: vpmud found no symbols for them in the guest or on this machine." :
			    "Guest addresses without names: --guest-kallsyms, --guest-vmlinux, --guest-root or --guest-image "
			    "tell where names are.");
	if (many(guest[VPMU_FRAME_OPAQUE], n_guest))
		say("Opaque guest samples: an encrypted guest does not tell where it was.");
	if (many(guest[VPMU_FRAME_NESTED], n_guest))
		say("Samples in nested guests are those of guests that this guest runs; what is in them is not looked at.");
	if (many(host[VPMU_FRAME_HIDDEN], n_host))
		say("The host kernel's addresses are hidden (kernel.kptr_restrict, or no CAP_SYSLOG): try as root.");
	if (many(host[VPMU_FRAME_NOT_THIS_KERNEL], n_host))
		say("Recorded under another kernel than the one that runs here, and its symbols are not in the file.");
	if (many(host[VPMU_FRAME_NO_SYMBOLS], n_host))
		say("Host programs without symbols: install their debug packages, or set DEBUGINFOD_URLS.");
}

void report_text_notes(const struct vpmu_coverage *recorded, const struct vpmu_coverage *shown,
		       const struct vpmu_report_opts *opts, const struct report_unnamed *unnamed,
		       bool guests_excluded)
{
	bool wants_guest = !opts->sides || opts->sides & VPMU_SIDES_GUEST;

	say_unnamed(unnamed, shown);
	if (opts->chains && wants_guest && !unnamed->named_by_vpmud) /* who does not tell of all chains there are */
		say_chainless(recorded);
	if (!recorded->samples)
		say("The recording has no samples: nothing of what was recorded ran on a CPU, or the event "
		    "did not happen.");
	else if (wants_guest && !vpmu_coverage_guest(recorded) && guests_excluded)
		say("No guest samples: the recording's events exclude guests, as plain 'perf record' has them; "
		    "'vpmu record' or 'perf kvm --host --guest record' sample guests too.");
	else if (wants_guest && !vpmu_coverage_guest(recorded) && (opts->sides || opts->n_guests))
		say("No guest samples: was it recorded with 'vpmu record' or 'perf kvm --host --guest "
		    "record', and was the guest busy?");
	if (recorded->lost)
		say("%" PRIu64 " record%s %s lost: the reader was too slow; a lower -F helps.", recorded->lost,
		    text_s(recorded->lost), text_were(recorded->lost));
}

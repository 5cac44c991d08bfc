/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vpmu exits prints of one reading, whoever read it: libvpmu in this process, or vpmud. */
#ifndef CLI_EXITS_SHOW_H
#define CLI_EXITS_SHOW_H

#include <stdbool.h>
#include <vpmu/exits.h>

struct json_object;

struct exits_reading {
	struct vpmu_exit_rows rows;
	const char *silent;		 /* vpmu_exits_silent() */
	const char *const *guests;	 /* names, by vpmu_exit.guest */
	struct vpmu_exits *exits;	 /* names addresses; NULL: … */
	const struct vpmu_frame *frames; /* … these are their names, by row */
};

/* What is at the address of @exit, which is one of the reading's rows. */
void exits_symbol(const struct exits_reading *reading, const struct vpmu_exit *exit, struct vpmu_frame *ret_frame);

/* Tables: one for each of the @keys (bits). @histograms: how the times of each row are spread. */
void exits_text(const struct exits_reading *reading, unsigned int keys, bool histograms);

/* What is missing in all of them. */
void exits_losses_text(const struct vpmu_exit_rows *rows);

/* What guests' guests cost: their exits, and those of the guest hypervisor for each. */
void exits_nested_text(const struct exits_reading *reading);

/* What the guests' own use of their PMUs costs, by operation. */
void exits_pmu_text(const struct exits_reading *reading);
struct json_object *exits_pmu_json(const struct exits_reading *reading);

/* The guest code that led to exits: trees of calls are for the programs that read the folded form. */
int exits_stacks_text(struct vpmu_exits *exits);
struct json_object *exits_stacks_json(struct vpmu_exits *exits);

/* One line a stack, as flamegraph.pl and its kin read them; the weight is exits, or their time in ns. */
int exits_stacks_folded(struct vpmu_exits *exits, bool by_time);

/* "1.23 us". */
void exits_time_text(uint64_t ns, char text[16]);

/* {"start_ns", "end_ns", "rows": [...], ...}. */
struct json_object *exits_json(const struct exits_reading *reading, unsigned int keys);

#endif

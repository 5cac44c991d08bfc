/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vpmu exits prints of one reading. */
#ifndef CLI_EXITS_SHOW_H
#define CLI_EXITS_SHOW_H

#include <stdbool.h>
#include <vpmu/exits.h>

struct json_object;

/* Tables: one for each of the @keys (bits). @histograms: how the times of each row are spread. */
void exits_text(struct vpmu_exits *exits, const struct vpmu_exit_rows *rows, unsigned int keys,
		bool histograms);

/* What guests' guests cost: their exits, and those of the guest hypervisor for each. */
void exits_nested_text(const struct vpmu_exits *exits, const struct vpmu_exit_rows *rows);

/* What the guests' own use of their PMUs costs, by operation. */
void exits_pmu_text(const struct vpmu_exits *exits, const struct vpmu_exit_rows *rows);
struct json_object *exits_pmu_json(const struct vpmu_exits *exits, const struct vpmu_exit_rows *rows);

/* Of an ANCILLARY row: how many there are for each trip; 0 if no trip is over yet. */
double exits_per_trip(const struct vpmu_exit_rows *rows, const struct vpmu_exit *exit);

/* The guest code that led to exits: trees of calls are for the programs that read the folded form. */
int exits_stacks_text(struct vpmu_exits *exits);
struct json_object *exits_stacks_json(struct vpmu_exits *exits);

/* One line a stack, as flamegraph.pl and its kin read them; the weight is exits, or their time in ns. */
int exits_stacks_folded(struct vpmu_exits *exits, bool by_time);

/* "1.23 us". */
void exits_time_text(uint64_t ns, char text[16]);

/* {"start_ns", "end_ns", "rows": [...], ...}. */
struct json_object *exits_json(struct vpmu_exits *exits, const struct vpmu_exit_rows *rows,
			       unsigned int keys);

#endif

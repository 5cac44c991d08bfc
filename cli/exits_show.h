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

/* {"start_ns", "end_ns", "rows": [...], ...}. */
struct json_object *exits_json(struct vpmu_exits *exits, const struct vpmu_exit_rows *rows,
			       unsigned int keys);

#endif

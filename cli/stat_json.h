/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vpmu stat prints for programs. */
#ifndef CLI_STAT_JSON_H
#define CLI_STAT_JSON_H

#include <vpmu/count.h>

struct json_object;

/* {"start_ns", "end_ns", "rows": [...]} */
struct json_object *stat_json(const struct vpmu_counters *counters,
			      const struct vpmu_counts *counts);

#endif

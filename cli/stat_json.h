/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vpmu stat prints for programs. */
#ifndef CLI_STAT_JSON_H
#define CLI_STAT_JSON_H

#include "stat_reading.h"

struct json_object;

/* {"start_ns", "end_ns", "rows": [...]} */
struct json_object *stat_json(const struct stat_reading *reading);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A counted value as the interface has it: CountRow. */
#ifndef DAEMON_COUNT_ROW_H
#define DAEMON_COUNT_ROW_H

#include <vpmu/count.h>
#include "client/json.h"

/* @note: what there is to say of it if it says nothing itself; NULL = nothing. */
struct json_object *count_row_json(const char *guest, const struct vpmu_count *count, const char *note);

#endif

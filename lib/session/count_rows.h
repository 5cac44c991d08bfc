/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two readings of a target, as the rows that a caller sees. */
#ifndef SESSION_COUNT_ROWS_H
#define SESSION_COUNT_ROWS_H

#include <vpmu/count.h>
#include "session/count_target.h"

struct count_rows { /* a VEC */
	struct vpmu_count *items;
	size_t n, room;
};

/*
 * Appends the rows of what came between @from, one of the target's readings, and its newest one.
 * -ENOMEM.
 */
int count_rows_add(struct count_rows *rows, const struct count_plan *plan,
		   const struct intern *whys, const struct count_target *target,
		   const struct count_reading *from);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Points in time and periods, as people say them. Times of the day are local time; results are Unix time in milliseconds.
 *
 *	now			this moment
 *	1h, 90s, 1h30m, 2d, 1w	so long ago
 *	10:30, 10:30:05		when the clock last showed that
 *	today, yesterday	midnight, at which that day began; "yesterday 10:30"
 *	2026-11-20		its midnight; "2026-11-20 10:30", "2026-11-20T10:30:05"
 *	…Z, …+01:00		behind a date with a time: not local time
 *	@1763632800		seconds of Unix time
 */
#ifndef CLI_PERIOD_H
#define CLI_PERIOD_H

#include <stdint.h>
#include <vpmu/error.h>
#include "util/strbuf.h"

struct period {
	int64_t since_ms, until_ms;
};

/* -EINVAL, with a text that tells what is understood. */
int period_point(const char *text, int64_t now_ms, int64_t *ret_ms, struct vpmu_error *reterr);

/*
 * period_whole - what vpmud has of @period: it keeps minutes, and of what is older than a day hours, and takes those at both ends
 * as a whole. Asked for like this, a period is what is told of it.
 */
void period_whole(struct period *period, int64_t now_ms);

/*
 * period_base - the period that @of is compared with, of the same length: moved back by a day ("yesterday": the same time of the
 * day, also where the clocks were changed in between) or a duration ("1h", "1w"), or beginning at a point in time. Both are made
 * whole: their seconds are dropped first, since an hour until now would else be of 61 minutes, one of which is also in the hour
 * before. -EINVAL, also if the two overlap: what is in both would be compared with itself.
 */
int period_base(const char *text, struct period *of, int64_t now_ms, struct period *ret_base, struct vpmu_error *reterr);

/* "2026-11-20 09:00 to 10:00", in local time. */
void period_text(const struct period *period, struct strbuf *out);

int64_t period_now_ms(void);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "profile/interval.h"
#include "util/macro.h"

/*
 * (p - q)² = z² q (1 - q) / n, solved for q:
 *
 *	q = (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
 *
 * At x = 0 the lower and at x = n the upper solution is exactly 0 or 1; rounding must not make it
 * nearly so, or a delta would get a spurious last digit beyond its bound.
 */
struct interval interval_wilson(uint64_t x, uint64_t n, double z)
{
	double p = (double)x / (double)n, zz = z * z / (double)n;
	double centre = p + zz / 2, spread = sqrt(zz * (p * (1 - p) + zz / 4));

	return (struct interval){
		.low = x == 0 ? 0 : MAX((centre - spread) / (1 + zz), 0.0),
		.high = x == n ? 1 : MIN((centre + spread) / (1 + zz), 1.0),
	};
}

struct interval interval_difference(uint64_t base_x, uint64_t base_n, uint64_t other_x,
				    uint64_t other_n, double z)
{
	struct interval b = interval_wilson(base_x, base_n, z);
	struct interval o = interval_wilson(other_x, other_n, z);
	double base = (double)base_x / (double)base_n, other = (double)other_x / (double)other_n;

	/* The difference is least when other is as low and base as high as it may be. */
	return (struct interval){
		.low = other - base - hypot(other - o.low, b.high - base),
		.high = other - base + hypot(o.high - other, base - b.low),
	};
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far to trust a share that was counted in samples.
 *
 * A symbol that got x of n samples has the share x/n, give or take. The textbook interval x/n ± z
 * sqrt(p(1-p)/n) (Wald) is useless where profiles live: for small shares and few samples it is far
 * too narrow, leaves [0, 1], and has no width at all for x = 0. Wilson's score interval is the set
 * of true shares p for which x would be no surprise, |x/n - p| <= z sqrt(p(1-p)/n): solve that
 * quadratic for p. It stays inside [0, 1] and keeps its promise from x = 0 on.
 *
 * For the difference of two shares Newcombe (Statistics in Medicine 17, 1998, p. 873, method 10)
 * combines the Wilson intervals of both: what each share can move towards the other is added in
 * squares, as independent errors are.
 *
 * All of it rests on the samples being independent. Samples at a fixed frequency of a program that
 * runs in step with the clock are not; that no formula can see.
 */
#ifndef PROFILE_INTERVAL_H
#define PROFILE_INTERVAL_H

#include <stdint.h>

/* The standard normal quantile of 97.5 %: two-sided 95 %. */
#define INTERVAL_Z_95 1.959963984540054

struct interval {
	double low, high;
};

/* @x of @n, as a share in [0, 1]. @n > 0, @x <= @n. */
struct interval interval_wilson(uint64_t x, uint64_t n, double z);

/* Of other_x/other_n - base_x/base_n, in [-1, 1]. */
struct interval interval_difference(uint64_t base_x, uint64_t base_n, uint64_t other_x,
				    uint64_t other_n, double z);

#endif

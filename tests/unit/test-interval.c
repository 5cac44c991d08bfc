/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "profile/interval.h"
#include "test.h"
#include "util/macro.h"

#define CHECK_NEAR(a, b, tolerance)                                                                \
	do {                                                                                       \
		double a_ = (a), b_ = (b);                                                         \
		if (!(fabs(a_ - b_) <= (tolerance)))                                               \
			FAIL("%s near %s: %.9f vs %.9f", #a, #b, a_, b_);                          \
	} while (0)

/*
 * A bound q of the Wilson interval is where |p - q| = z sqrt(q (1 - q) / n): put each bound back
 * into that equation instead of comparing with the closed form that the code uses.
 */
TEST(wilson_bounds_solve_the_score_equation)
{
	static const uint64_t cases[][2] = { { 1, 10 },	    { 5, 10 },	      { 9, 10 },
					     { 1, 100000 }, { 99999, 100000 }, { 48, 80 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		double n = (double)cases[i][1], p = (double)cases[i][0] / n, z = INTERVAL_Z_95;
		struct interval w = interval_wilson(cases[i][0], cases[i][1], z);

		CHECK(0 < w.low && w.low < p && p < w.high && w.high < 1);
		CHECK_NEAR(p - w.low, z * sqrt(w.low * (1 - w.low) / n), 1e-12);
		CHECK_NEAR(w.high - p, z * sqrt(w.high * (1 - w.high) / n), 1e-12);
	}
}

/*
 * Nothing seen: q = z sqrt(q (1 - q) / n) has the solutions 0 and z² / (n + z²).
 * n = 10: 3.841459 / 13.841459 = 0.277533. All seen is the mirror image.
 */
TEST(wilson_is_exact_at_none_and_all)
{
	struct interval none = interval_wilson(0, 10, INTERVAL_Z_95);
	struct interval all = interval_wilson(10, 10, INTERVAL_Z_95);

	CHECK(none.low == 0);
	CHECK_NEAR(none.high, 0.277533, 1e-6);
	CHECK_NEAR(all.low, 1 - 0.277533, 1e-6);
	CHECK(all.high == 1);
}

/*
 * Worked by hand for 56/70 against 48/80 (z² = 3.841459):
 *	56/70: p = .8, centre .8 + .0274390 = .8274390, spread .0975972, divisor 1.0548780: [.691834, .876953]
 *	48/80: p = .6, centre .6 + .0240091 = .6240091, spread .1099993, divisor 1.0480182: [.490460, .700378]
 *	low  = .2 - sqrt((.8 - .691834)² + (.700378 - .6)²) = .2 - sqrt(.0117000 + .0100757) = .2 - .147569 = .052431
 *	high = .2 + sqrt((.876953 - .8)² + (.6 - .490460)²) = .2 + sqrt(.0059218 + .0119990) = .2 + .133873 = .333873
 * Newcombe's paper prints .0524 and .3339 for this pair, and the four digits of the others below.
 */
TEST(differences_are_those_worked_by_hand)
{
	static const struct {
		uint64_t other_x, other_n, base_x, base_n;
		double low, high, tolerance;
	} cases[] = {
		{ 56, 70, 48, 80, 0.052431, 0.333873, 2e-6 },
		{ 9, 10, 3, 10, 0.1705, 0.8090, 5e-5 },
		{ 6, 7, 2, 7, 0.0582, 0.8062, 6e-5 },
		{ 5, 56, 0, 29, -0.0381, 0.1926, 5e-5 },
		{ 0, 10, 0, 20, -0.1611, 0.2775, 5e-5 },
		{ 0, 10, 0, 10, -0.2775, 0.2775, 5e-5 },
		{ 10, 10, 0, 20, 0.6791, 1.0000, 5e-5 },
		{ 10, 10, 0, 10, 0.6075, 1.0000, 5e-5 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct interval d = interval_difference(cases[i].base_x, cases[i].base_n,
							cases[i].other_x, cases[i].other_n,
							INTERVAL_Z_95);

		CHECK_NEAR(d.low, cases[i].low, cases[i].tolerance);
		CHECK_NEAR(d.high, cases[i].high, cases[i].tolerance);
	}
}

TEST(swapping_base_and_other_mirrors_the_interval)
{
	struct interval d = interval_difference(17, 1000, 40, 900, INTERVAL_Z_95);
	struct interval mirrored = interval_difference(40, 900, 17, 1000, INTERVAL_Z_95);

	CHECK(d.low == -mirrored.high);
	CHECK(d.high == -mirrored.low);
}

/* xorshift64*: the same draws on every machine. */
static double draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (double)((*state * 0x2545f4914f6cdd1du) >> 11) * 0x1p-53;
}

static uint64_t draw_binomial(uint64_t *state, uint64_t n, double p)
{
	uint64_t x = 0;

	while (n--)
		x += draw(state) < p;
	return x;
}

/*
 * What a 95 % interval promises: profile the same two programs again and again, and it holds the
 * true difference 95 times in 100. With 4000 rounds the count itself is good to 0.35 points (one
 * standard deviation), so 93 to 97 is a wide berth for a right formula. The first row is the short
 * profile against the long one: Wald's interval would cover it 57 times in 100, being empty on the
 * side where nothing was seen.
 */
TEST(the_interval_covers_the_truth_95_times_in_100)
{
	static const struct {
		double base, other;
		uint64_t base_n, other_n;
	} cases[] = {
		{ 0.02, 0.02, 40, 400 },    { 0.05, 0.05, 400, 400 },  { 0.30, 0.35, 200, 600 },
		{ 0.50, 0.80, 60, 90 },	    { 0.01, 0.02, 1500, 1000 }, { 0.10, 0.09, 900, 1100 },
	};
	enum { ROUNDS = 4000 };
	uint64_t state = 20240607;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		double truth = cases[i].other - cases[i].base;
		int covered = 0;

		for (int round = 0; round < ROUNDS; round++) {
			uint64_t b = draw_binomial(&state, cases[i].base_n, cases[i].base);
			uint64_t o = draw_binomial(&state, cases[i].other_n, cases[i].other);
			struct interval d = interval_difference(b, cases[i].base_n, o,
								cases[i].other_n, INTERVAL_Z_95);

			covered += d.low <= truth && truth <= d.high;
		}
		printf("case %zu: %.2f %%\n", i, 100.0 * covered / ROUNDS);
		CHECK_CMP(covered, >=, ROUNDS * 93 / 100);
		CHECK_CMP(covered, <=, ROUNDS * 97 / 100);
	}
}

int main(void)
{
	return test_main();
}

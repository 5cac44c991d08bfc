/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many frames of a guest kernel are unwound in a second, by a table as large as a distribution's kernel has. Every call is made from a
 * place of its own, so that lookups find nothing warm. Prints the best of several rounds, since other load only ever adds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "format/orc.h"

#define ENTRIES 480000u
#define TEXT	0xffffffff81000000u
#define IPS	0xffffffff83000000u
#define STACK	0xffffc90000010000u
#define DEPTH	32
#define STACKS	20000
#define ROUNDS	7

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static const uint8_t *find(uint64_t ip, void *data)
{
	return orc_table_find(data, ip);
}

/* All of them say: stack pointer plus 32, a call (layout of 6.4). */
static int make_table(struct orc_table *table)
{
	static int32_t ips[ENTRIES];
	static uint8_t entries[ENTRIES][ORC_ENTRY_BYTES];

	for (uint32_t i = 0; i < ENTRIES; i++) {
		ips[i] = (int32_t)((int64_t)(TEXT + 40ull * i) - (int64_t)(IPS + 4ull * i));
		entries[i][0] = 32;
		entries[i][4] = 5;
		entries[i][5] = 2;
	}
	return orc_table_load(ips, sizeof(ips), IPS, entries, sizeof(entries), TEXT + 40ull * ENTRIES, table);
}

int main(void)
{
	static uint64_t words[DEPTH * 4];
	struct orc_kernel kernel = {.layout = ORC_LAYOUT_6_4, .find = find};
	struct orc_stack stack = {.slices = {{STACK, sizeof(words), (const uint8_t *)words}}, .n_slices = 1};
	uint64_t frames[126], n_frames;
	struct orc_table table;
	double best = 0;

	if (make_table(&table) < 0)
		return 1;
	kernel.data = &table;
	for (int round = 0; round < ROUNDS; round++) {
		double spent = 0;

		n_frames = 0;
		for (int i = 0; i < STACKS; i++) {
			struct orc_regs regs = {.ip = TEXT, .sp = STACK, .exact = true};
			double begin;
			size_t n;

			for (int frame = 0; frame < DEPTH; frame++)
				words[frame * 4 + 3] = TEXT + (uint64_t)(random() % (40 * ENTRIES));
			begin = now_ns();
			(void)orc_unwind(&kernel, &stack, &regs, frames, 126, &n);
			spent += now_ns() - begin;
			n_frames += n;
		}
		if (round == 0 || spent / (double)n_frames < best)
			best = spent / (double)n_frames;
	}
	printf("an ORC frame, %u entries  %.0f ns, %.0f frames a second\n", ENTRIES, best, 1e9 / best);
	orc_table_deinit(&table);
	return n_frames != (uint64_t)DEPTH * STACKS;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Edit distance with swaps of neighbours (optimal string alignment): "recrod" is one step from
 * "record".
 */
#include <string.h>

#include "util/macro.h"
#include "nearest.h"

#define WORD_MAX 32

static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= na; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= na; i++)
		for (size_t j = 1; j <= nb; j++) {
			size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, d[i - 1][j] + 1);
			best = MIN(best, d[i][j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, d[i - 2][j - 2] + 1);
			d[i][j] = best;
		}
	return d[na][nb];
}

const char *nearest(const char *word, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t n_word = strlen(word), best_distance = 3; /* more than two slips is another word */

	if (n_word < 2 || n_word > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t n_name = strlen(names[i]), d;

		if (n_name > WORD_MAX)
			continue;
		d = distance(word, n_word, names[i], n_name);
		/* One slip in three letters: "foo" was no try at "top". */
		if (d < best_distance && d * 3 <= MAX(n_word, n_name)) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

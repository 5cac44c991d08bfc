/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The call chains of a row. All rows' chains spelled out would dwarf the profile: with --children every suffix of every stack
 * belongs to some row. So only an index is kept, the entries of each row, four bytes each; one row's chains are
 * spelled out when it is looked at, and make room for the next row's.
 *
 * A row's chains start at its own symbol, the innermost call of it, and go outward: where it was called from. In a row
 * without children that is the whole stack.
 */
#include <errno.h>

#include "profile/report.h"
#include "util/cleanup.h"
#include "util/hash.h"
#include "util/idtable.h"
#include "util/macro.h"

#define NO_ROW UINT32_MAX

struct report_chains {
	size_t *first;	   /* row -> index into entries; n_rows + 1 of them */
	uint32_t *entries; /* into the profile's entries */
	struct vpmu_frame *frames; /* all frames of the profile, as callers see them */

	size_t shown; /* the row whose chains are spelled out below */
	VEC(struct vpmu_chain) chains;
	VEC(const struct vpmu_frame *) pointers;
};

struct report_chains *report_chains_free(struct report_chains *c)
{
	if (!c)
		return NULL;
	free(c->first);
	free(c->entries);
	free(c->frames);
	vec_free(&c->chains);
	vec_free(&c->pointers);
	free(c);
	return NULL;
}
DEFINE_CLEANUP(struct report_chains *, report_chains_free)

static struct vpmu_frame *frames_new(const struct profile_view *view)
{
	struct vpmu_frame *frames = calloc(view->n_frames + 1, sizeof(*frames));

	for (size_t i = 0; frames && i < view->n_frames; i++) {
		const struct profile_frame *f = &view->frames[i];

		frames[i].symbol = intern_string(view->strings, f->symbol);
		frames[i].dso = intern_string(view->strings, f->dso);
		frames[i].build_id = intern_string(view->strings, f->build_id);
		frames[i].src_file = f->src_file ? intern_string(view->strings, f->src_file) : NULL;
		frames[i].src_line = f->src_line;
		frames[i].side = (enum vpmu_side)f->side;
		frames[i].status = (enum vpmu_frame_status)f->status;
	}
	return frames;
}

/* As in report_group.c, with rows instead of groups, and only those that are shown. */
struct index_cell {
	uint32_t row, entry_group1, last_entry1;
};

static void index_entry(struct vpmu_report *report, struct report_chains *c, size_t *next,
			struct index_cell *line, uint32_t k)
{
	const struct grouping *g = &report->grouping;
	const struct profile_entry *e = &report->view.entries[g->order[k]];
	uint32_t n = 1;
	const uint32_t *frames =
		report->opts.children ? entry_frames(&report->view, e, &n) : &e->leaf;

	for (uint32_t i = 0; i < n; i++) {
		struct index_cell *cell = &line[g->frame_groups[frames[i]]];

		if (cell->entry_group1 != g->group_of[k] + 1 || cell->last_entry1 == k + 1)
			continue;
		cell->last_entry1 = k + 1;
		c->entries[next[cell->row]++] = g->order[k];
	}
}

/* Entries are in order of their group, so a group's rows are entered into the line when its first entry comes. */
static int index_entries(struct vpmu_report *report, struct report_chains *c)
{
	const struct grouping *g = &report->grouping;
	_free_ struct index_cell *line = calloc(g->n_frame_groups + 1, sizeof(*line));
	_free_ size_t *next = calloc(report->n_rows + 1, sizeof(*next));
	_free_ uint32_t *row_of = malloc((report->groups.n + 1) * sizeof(*row_of));
	size_t group = 0;

	if (!line || !next || !row_of)
		return -ENOMEM;
	memset(row_of, 0xff, (report->groups.n + 1) * sizeof(*row_of));
	for (uint32_t i = 0; i < report->n_rows; i++) {
		row_of[report->row_groups[i]] = i;
		next[i] = c->first[i];
	}
	for (uint32_t k = 0; k < g->n_order; k++) {
		/* groups[] were made in the order of the entry groups, too */
		for (; group < report->groups.n &&
		       report->groups.items[group].entry_group <= g->group_of[k]; group++)
			if (row_of[group] != NO_ROW)
				line[report->groups.items[group].frame_group] = (struct index_cell){
					.row = row_of[group],
					.entry_group1 = report->groups.items[group].entry_group + 1,
				};
		index_entry(report, c, next, line, k);
	}
	return 0;
}

int report_chains_new(struct vpmu_report *report, struct report_chains **ret_chains)
{
	_cleanup_(report_chains_freep) struct report_chains *c = calloc(1, sizeof(*c));
	size_t n = 0;
	int r;

	if (!c)
		return -ENOMEM;
	c->shown = SIZE_MAX;
	c->frames = frames_new(&report->view);
	c->first = calloc(report->n_rows + 1, sizeof(*c->first));
	if (!c->frames || !c->first)
		return -ENOMEM;
	for (size_t i = 0; i < report->n_rows; i++) {
		n += report->groups.items[report->row_groups[i]].n_entries;
		c->first[i + 1] = n;
	}
	c->entries = malloc((n + 1) * sizeof(*c->entries));
	if (!c->entries)
		return -ENOMEM;
	r = index_entries(report, c);
	if (r < 0)
		return r;
	*ret_chains = take_ptr(c);
	return 0;
}

/* A chain before it is spelled out: some frames of the profile's stacks. */
struct suffix {
	const uint32_t *frames;
	uint32_t n;
	uint64_t samples, weight;
	uint32_t order; /* of first appearance: decides between equal weights */
};

static int heavier(const void *pa, const void *pb)
{
	const struct suffix *a = pa, *b = pb;

	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	if (a->samples != b->samples)
		return a->samples > b->samples ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

struct suffixes {
	VEC(struct suffix) all;
	struct idtable ids;
};

static int suffix_count(struct suffixes *s, const struct suffix *one)
{
	uint32_t hash = (uint32_t)hash_bytes(one->frames, one->n * sizeof(*one->frames)), id;
	uint32_t i = idtable_first(&s->ids, hash);

	for (; (id = idtable_at(&s->ids, i, hash)) != IDTABLE_END; i = idtable_step(&s->ids, i)) {
		struct suffix *have = id == IDTABLE_OTHER ? NULL : &s->all.items[id];

		if (!have || have->n != one->n ||
		    memcmp(have->frames, one->frames, one->n * sizeof(*one->frames)) != 0)
			continue;
		have->samples += one->samples;
		have->weight += one->weight;
		return 0;
	}
	id = (uint32_t)s->all.n;
	if (!vec_push(&s->all, *one) || !idtable_put(&s->ids, hash, id))
		return -ENOMEM;
	s->all.items[id].order = id;
	return 0;
}

static int collect(const struct vpmu_report *report, size_t row, struct suffixes *s)
{
	const struct report_chains *c = report->chains;
	const uint32_t *groups = report->grouping.frame_groups;
	uint32_t wanted = report->groups.items[report->row_groups[row]].frame_group;

	for (size_t i = c->first[row]; i < c->first[row + 1]; i++) {
		const struct profile_entry *e = &report->view.entries[c->entries[i]];
		struct suffix one = { .samples = e->samples, .weight = e->weight };

		one.frames = entry_frames(&report->view, e, &one.n);
		while (report->opts.children && one.n > 1 && groups[one.frames[0]] != wanted) {
			one.frames++;
			one.n--;
		}
		if (suffix_count(s, &one) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int spell_out(struct report_chains *c, const struct suffixes *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->all.n; i++)
		n += s->all.items[i].n;
	c->pointers.n = c->chains.n = 0;
	if (!vec_reserve(&c->pointers, n) || !vec_reserve(&c->chains, s->all.n))
		return -ENOMEM;
	for (size_t i = 0; i < s->all.n; i++) {
		const struct suffix *one = &s->all.items[i];

		c->chains.items[c->chains.n++] = (struct vpmu_chain){
			.samples = one->samples,
			.weight = one->weight,
			.n_frames = one->n,
			.frames = c->pointers.items + c->pointers.n,
		};
		for (uint32_t k = 0; k < one->n; k++)
			c->pointers.items[c->pointers.n++] = &c->frames[one->frames[k]];
	}
	return 0;
}

void report_chains_show(struct vpmu_report *report, size_t i)
{
	struct report_chains *c = report->chains;
	struct suffixes s = {};

	if (c->shown == i)
		return;
	if (c->shown != SIZE_MAX) {
		report->rows[c->shown].chains = NULL;
		report->rows[c->shown].n_chains = 0;
		c->shown = SIZE_MAX;
	}
	if (collect(report, i, &s) == 0) {
		qsort(s.all.items, s.all.n, sizeof(*s.all.items), heavier);
		if (spell_out(c, &s) == 0) {
			report->rows[i].chains = c->chains.items;
			report->rows[i].n_chains = c->chains.n;
			c->shown = i;
		}
	}
	vec_free(&s.all);
	idtable_deinit(&s.ids);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The call chains of rows. A row's chains start at its own symbol, the innermost call of it, and
 * go outward: who called it. In a report without children that is whole stacks; with children
 * every suffix of every stack belongs to some row, and all of them spelled out would dwarf the
 * profile. A report of callees has the prefixes instead, up to the outermost call of the row's
 * symbol, and they are spelled out from there inward.
 *
 * So a row only has references, twelve bytes each, into the profile: which entry, and where in
 * its stack the row's symbol is. They are collected in one walk over the entries. What they refer
 * to is put together for one row at a time, when somebody asks; the scratch space for that is
 * kept from row to row, for most rows have a chain or two, and there are many rows.
 */
#include <errno.h>

#include "profile/report.h"
#include "util/cleanup.h"
#include "util/hash.h"
#include "util/macro.h"

#define NO_ROW	   UINT32_MAX
#define LEAF_ALONE UINT32_MAX /* in place of a position: the entry has no stack */
#define AHEAD	   8	      /* references fetched into the cache before their turn */

struct reference {
	uint32_t entry;
	uint32_t at; /* index into stack_frames */
	uint32_t n;  /* frames from there on */
};

/* Equal chains of a row, counted together. */
struct counted {
	uint64_t samples, weight;
	const uint32_t *frames;
	uint32_t n, hash, order; /* order: of first appearance */
};

struct report_chains {
	size_t *first;	   /* row -> index into references; n_rows + 1 of them */
	struct reference *references;
	struct vpmu_frame *frames; /* all frames of the profile, as callers see them */

	/* scratch, and the row that was asked for last */
	VEC(struct counted) counted;
	VEC(uint32_t) slots; /* of counted, by hash: index + 1 */
	VEC(struct vpmu_chain) chains;
	VEC(const struct vpmu_frame *) pointers;
};

struct report_chains *report_chains_free(struct report_chains *c)
{
	if (!c)
		return NULL;
	free(c->first);
	free(c->references);
	free(c->frames);
	vec_free(&c->counted);
	vec_free(&c->slots);
	vec_free(&c->chains);
	vec_free(&c->pointers);
	free(c);
	return NULL;
}
DEFINE_CLEANUP(struct report_chains *, report_chains_free)

/* ---- all rows ---- */

/*
 * As in report_group.c: what a frame group's row is in the entry group at hand, and which entry
 * it has last.
 */
struct cell {
	uint32_t row, entry_group1, last_entry1;
};

/*
 * Refers to entry @k of the grouping's order from the row of each symbol on its stack, at the
 * innermost call; the outermost one where callees are wanted.
 */
static void refer(const struct vpmu_report *report, struct report_chains *c, struct cell *line,
		  uint32_t k, size_t *next)
{
	const struct grouping *g = &report->grouping;
	const struct profile_entry *e = &report->view.entries[g->order[k]];
	uint32_t n, at = LEAF_ALONE;
	const uint32_t *frames = entry_frames(&report->view, e, &n);

	if (frames != &e->leaf)
		at = (uint32_t)(frames - report->view.stack_frames);
	for (uint32_t k1 = 0; k1 < (report->opts.children ? n : 1); k1++) {
		uint32_t i = report->opts.callees ? n - 1 - k1 : k1;
		struct cell *cell = &line[g->frame_groups[frames[i]]];

		if (cell->entry_group1 != g->group_of[k] + 1 || cell->last_entry1 == k + 1)
			continue;
		cell->last_entry1 = k + 1;
		c->references[next[cell->row]++] = (struct reference){
			.entry = g->order[k],
			.at = at == LEAF_ALONE || report->opts.callees ? at : at + i,
			.n = report->opts.callees ? i + 1 : n - i,
		};
	}
}

/*
 * Entries are in order of their group, so a group's rows are entered into the line when its first
 * entry comes.
 */
static int refer_to_entries(const struct vpmu_report *report, struct report_chains *c)
{
	const struct grouping *g = &report->grouping;
	_free_ struct cell *line = calloc(g->n_frame_groups + 1, sizeof(*line));
	_free_ size_t *next = malloc((report->n_rows + 1) * sizeof(*next));
	_free_ uint32_t *row_of = malloc((report->groups.n + 1) * sizeof(*row_of));
	size_t group = 0;

	if (!line || !next || !row_of)
		return -ENOMEM;
	memcpy(next, c->first, (report->n_rows + 1) * sizeof(*next));
	memset(row_of, 0xff, (report->groups.n + 1) * sizeof(*row_of));
	for (uint32_t i = 0; i < report->n_rows; i++)
		row_of[report->row_groups[i]] = i;
	for (uint32_t k = 0; k < g->n_order; k++) {
		/* groups[] were made in the order of the entry groups, too */
		for (; group < report->groups.n &&
		       report->groups.items[group].entry_group <= g->group_of[k]; group++)
			if (row_of[group] != NO_ROW)
				line[report->groups.items[group].frame_group] = (struct cell){
					.row = row_of[group],
					.entry_group1 = report->groups.items[group].entry_group + 1,
				};
		refer(report, c, line, k, next);
	}
	return 0;
}

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

int report_chains_new(const struct vpmu_report *report, struct report_chains **ret_chains)
{
	_cleanup_(report_chains_freep) struct report_chains *c = calloc(1, sizeof(*c));
	size_t n = 0;

	if (!c)
		return -ENOMEM;
	c->frames = frames_new(&report->view);
	c->first = calloc(report->n_rows + 1, sizeof(*c->first));
	if (!c->frames || !c->first)
		return -ENOMEM;
	for (size_t i = 0; i < report->n_rows; i++) {
		n += report->groups.items[report->row_groups[i]].n_entries;
		c->first[i + 1] = n;
	}
	c->references = malloc((n + 1) * sizeof(*c->references));
	if (!c->references || refer_to_entries(report, c) < 0)
		return -ENOMEM;
	*ret_chains = take_ptr(c);
	return 0;
}

/* ---- one row ---- */

static const uint32_t *frames_of(const struct profile_view *view, const struct reference *ref)
{
	return ref->at == LEAF_ALONE ? &view->entries[ref->entry].leaf
				     : view->stack_frames + ref->at;
}

static uint32_t hash_of(const uint32_t *frames, uint32_t n)
{
	uint64_t h = n;

	for (; n >= 2; n -= 2, frames += 2)
		h = hash_mix(h, frames[0] | (uint64_t)frames[1] << 32);
	return (uint32_t)hash_mix(h, n ? frames[0] : 0);
}

static void count(struct report_chains *c, const struct profile_entry *e, const uint32_t *frames,
		  uint32_t n)
{
	uint32_t mask = (uint32_t)c->slots.n - 1, hash = hash_of(frames, n), i;
	struct counted *one;

	for (i = hash & mask; c->slots.items[i]; i = (i + 1) & mask) {
		one = &c->counted.items[c->slots.items[i] - 1];
		if (one->hash != hash || one->n != n ||
		    memcmp(one->frames, frames, n * sizeof(*frames)) != 0)
			continue;
		one->samples += e->samples;
		one->weight += e->weight;
		return;
	}
	one = &c->counted.items[c->counted.n++];
	*one = (struct counted){
		.samples = e->samples,
		.weight = e->weight,
		.frames = frames,
		.n = n,
		.hash = hash,
		.order = (uint32_t)c->counted.n,
	};
	c->slots.items[i] = (uint32_t)c->counted.n;
}

/* Room for @n chains, and an empty table at most half full. */
static bool make_room(struct report_chains *c, size_t n)
{
	size_t n_slots = 4;

	while (n_slots < 2 * n)
		n_slots *= 2;
	c->counted.n = c->slots.n = c->chains.n = c->pointers.n = 0;
	if (n > UINT32_MAX / 4 || !vec_reserve(&c->counted, n) ||
	    !vec_reserve(&c->slots, n_slots) || !vec_reserve(&c->chains, n))
		return false;
	c->slots.n = n_slots;
	memset(c->slots.items, 0, n_slots * sizeof(*c->slots.items));
	return true;
}

static int heavier(const void *pa, const void *pb)
{
	const struct counted *a = pa, *b = pb;

	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	if (a->samples != b->samples)
		return a->samples > b->samples ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

static bool spell_out(struct report_chains *c, bool inward)
{
	size_t n = 0;

	vec_for_each(one, &c->counted)
		n += one->n;
	if (!vec_reserve(&c->pointers, n))
		return false;
	vec_for_each(one, &c->counted) {
		c->chains.items[c->chains.n++] = (struct vpmu_chain){
			.samples = one->samples,
			.weight = one->weight,
			.n_frames = one->n,
			.frames = c->pointers.items + c->pointers.n,
		};
		for (uint32_t k = 0; k < one->n; k++)
			c->pointers.items[c->pointers.n++] = &c->frames[one->frames[inward ? one->n - 1 - k : k]];
	}
	return true;
}

VPMU_API const struct vpmu_chain *vpmu_report_chains(const struct vpmu_report *report, size_t i,
						     size_t *ret_n)
{
	struct report_chains *c = report->chains;
	const struct profile_view *view = &report->view;
	const struct reference *ref, *end;

	*ret_n = 0;
	if (!c || i >= report->n_rows)
		return NULL;
	ref = c->references + c->first[i];
	end = c->references + c->first[i + 1];
	if (!make_room(c, (size_t)(end - ref)))
		return NULL;
	for (; ref < end; ref++) {
		if (end - ref > AHEAD) {
			__builtin_prefetch(&view->entries[ref[AHEAD].entry]);
			__builtin_prefetch(frames_of(view, &ref[AHEAD]));
		}
		count(c, &view->entries[ref->entry], frames_of(view, ref), ref->n);
	}
	if (c->counted.n > 1)
		qsort(c->counted.items, c->counted.n, sizeof(*c->counted.items), heavier);
	if (!spell_out(c, report->opts.callees))
		return NULL;
	*ret_n = c->chains.n;
	return c->chains.items;
}

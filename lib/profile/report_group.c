/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which row does a sample belong to? Two things decide, and they are looked at apart: the entry's
 * context (guest, vCPU, process, half), of which there are few, and the frame (side, dso, symbol,
 * line). Both are reduced to small numbers first, by whatever of them is a sort key; then
 * counting is indexing, with no hashing and no comparing of names. That matters with --children,
 * where every frame of every stack is counted.
 */
#include <errno.h>

#include "profile/report.h"
#include "util/hash.h"
#include "util/idtable.h"
#include "util/macro.h"

void grouping_deinit(struct grouping *g)
{
	vec_free(&g->entry_groups);
	free(g->order);
	free(g->group_of);
	free(g->frame_groups);
	free(g->examples);
}

/* The frame as the sort keys see it: what they do not ask for is blanked. */
static struct profile_frame visible(const struct profile_frame *frame, unsigned int keys)
{
	struct profile_frame seen = {};

	if (keys & KEY_BIT(SIDE))
		seen.side = frame->side;
	if (keys & KEY_BIT(DSO))
		seen.dso = frame->dso;
	if (keys & KEY_BIT(SYMBOL)) {
		seen.symbol = frame->symbol;
		seen.status = frame->status;
		if (frame->status != VPMU_FRAME_OK)
			seen.dso = frame->dso; /* an offset means nothing without its file */
	}
	if (keys & KEY_BIT(LINE)) {
		seen.src_file = frame->src_file;
		seen.src_line = frame->src_line;
	}
	return seen;
}

static int group_frames(struct grouping *g, const struct profile_view *view, unsigned int keys)
{
	VEC(struct profile_frame) seen = {};
	struct idtable ids = {};
	int result = -ENOMEM;

	g->frame_groups = calloc(view->n_frames + 1, sizeof(*g->frame_groups));
	g->examples = calloc(view->n_frames + 1, sizeof(*g->examples));
	if (!g->frame_groups || !g->examples)
		return -ENOMEM;
	for (size_t f = 0; f < view->n_frames; f++) {
		/* No byte is padding, so bytes can be compared. */
		struct profile_frame frame = visible(&view->frames[f], keys);
		uint32_t hash = (uint32_t)hash_bytes(&frame, sizeof(frame)), id;
		uint32_t i = idtable_first(&ids, hash);

		for (; (id = idtable_at(&ids, i, hash)) != IDTABLE_END; i = idtable_step(&ids, i))
			if (id != IDTABLE_OTHER &&
			    memcmp(&seen.items[id], &frame, sizeof(frame)) == 0)
				break;
		if (id == IDTABLE_END) {
			id = (uint32_t)seen.n;
			g->examples[id] = (uint32_t)f;
			if (!vec_push(&seen, frame) || !idtable_put(&ids, hash, id))
				goto out;
		}
		g->frame_groups[f] = id;
	}
	g->n_frame_groups = seen.n;
	result = 0;
out:
	vec_free(&seen);
	idtable_deinit(&ids);
	return result;
}

static bool is_guest_side(unsigned int side)
{
	return VPMU_SIDES_GUEST & 1u << side;
}

/* Entries come in runs of one context, so the last answer is mostly the next one too. */
static uint32_t entry_group(struct grouping *g, struct idtable *ids, const struct profile_entry *e,
			    unsigned int keys, uint32_t last)
{
	struct entry_group group = {
		.guest = keys & KEY_BIT(GUEST) ? e->guest : 0,
		.vcpu = keys & KEY_BIT(VCPU) ? e->vcpu : 0,
		.process = keys & KEY_BIT(PROCESS) ? e->process : 0,
		.is_guest = is_guest_side(e->side),
	};
	uint32_t hash, id, i;

#define SAME(id)                                                                                   \
	(g->entry_groups.items[id].guest == group.guest &&                                         \
	 g->entry_groups.items[id].vcpu == group.vcpu &&                                           \
	 g->entry_groups.items[id].process == group.process &&                                     \
	 g->entry_groups.items[id].is_guest == group.is_guest)
	if (last != GROUP_NONE && SAME(last))
		return last;
	hash = (uint32_t)hash_mix(group.guest | (uint64_t)group.vcpu << 32,
				  group.process | (uint64_t)group.is_guest << 32);
	for (i = idtable_first(ids, hash); (id = idtable_at(ids, i, hash)) != IDTABLE_END;
	     i = idtable_step(ids, i))
		if (id != IDTABLE_OTHER && SAME(id))
			return id;
#undef SAME
	id = (uint32_t)g->entry_groups.n;
	if (!vec_push(&g->entry_groups, group) || !idtable_put(ids, hash, id))
		return GROUP_NONE;
	return id;
}

/* Counting sort of the selected entries by their group. */
static int sort_entries(struct grouping *g, const uint32_t *groups, size_t n_entries)
{
	size_t *next = calloc(g->entry_groups.n + 1, sizeof(*next));

	g->order = malloc((g->n_order + 1) * sizeof(*g->order));
	g->group_of = malloc((g->n_order + 1) * sizeof(*g->group_of));
	if (!next || !g->order || !g->group_of) {
		free(next);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_entries; i++)
		if (groups[i] != GROUP_NONE)
			next[groups[i] + 1]++;
	for (size_t k = 1; k <= g->entry_groups.n; k++)
		next[k] += next[k - 1];
	for (size_t i = 0; i < n_entries; i++) {
		if (groups[i] == GROUP_NONE)
			continue;
		g->group_of[next[groups[i]]] = groups[i];
		g->order[next[groups[i]]++] = (uint32_t)i;
	}
	free(next);
	return 0;
}

static void count_coverage(struct vpmu_coverage *coverage, const struct profile_entry *e,
			   enum vpmu_frame_status status)
{
	coverage->samples += e->samples;
	coverage->sides[e->side] += e->samples;
	if (status == VPMU_FRAME_OK)
		coverage->resolved += e->samples;
	else if (status == VPMU_FRAME_OPAQUE || status == VPMU_FRAME_NESTED)
		coverage->opaque += e->samples;
}

static int group_entries(struct vpmu_report *report)
{
	const struct profile_view *view = &report->view;
	struct grouping *g = &report->grouping;
	uint32_t *groups = malloc((view->n_entries + 1) * sizeof(*groups)), last = GROUP_NONE;
	struct idtable ids = {};
	int r = groups ? 0 : -ENOMEM;

	for (size_t i = 0; i < view->n_entries && r == 0; i++) {
		const struct profile_entry *e = &view->entries[i];
		struct report_half *half = &report->halves[is_guest_side(e->side)];

		groups[i] = GROUP_NONE;
		if (!selection_has(&report->selection, e))
			continue;
		half->samples += e->samples;
		half->weight += e->weight;
		count_coverage(&report->coverage, e, view->frames[e->leaf].status);
		last = groups[i] = entry_group(g, &ids, e, report->keys, last);
		if (last == GROUP_NONE)
			r = -ENOMEM;
		g->n_order++;
	}
	if (r == 0)
		r = sort_entries(g, groups, view->n_entries);
	idtable_deinit(&ids);
	free(groups);
	return r;
}

/*
 * The line of the table for the entry group at hand: frame group -> row. Stale cells are told by
 * their group.
 */
struct cell {
	uint32_t row, entry_group1;
};

static struct group_row *row_of(struct vpmu_report *report, struct cell *line, uint32_t entry_group,
				uint32_t frame)
{
	uint32_t frame_group = report->grouping.frame_groups[frame];
	struct cell *cell = &line[frame_group];

	if (cell->entry_group1 != entry_group + 1) {
		*cell = (struct cell){ (uint32_t)report->groups.n, entry_group + 1 };
		if (!vec_push(&report->groups, (struct group_row){ .entry_group = entry_group,
								   .frame_group = frame_group }))
			return NULL;
	}
	return &report->groups.items[cell->row];
}

/*
 * With children every symbol of the stack gets the entry's counts, once; without, only the
 * leaf's.
 */
static int count_entries(struct vpmu_report *report, struct cell *line)
{
	const struct grouping *g = &report->grouping;

	for (uint32_t k = 0; k < g->n_order; k++) {
		const struct profile_entry *e = &report->view.entries[g->order[k]];
		uint32_t n = 1;
		const uint32_t *frames = report->opts.children ?
						 entry_frames(&report->view, e, &n) : &e->leaf;

		for (uint32_t i = 0; i < n; i++) {
			struct group_row *row = row_of(report, line, g->group_of[k], frames[i]);

			if (!row)
				return -ENOMEM;
			if (i == 0) {
				row->self_samples += e->samples;
				row->self_weight += e->weight;
			}
			if (row->last_entry == k + 1)
				continue;
			row->last_entry = k + 1;
			row->n_entries++;
			row->samples += e->samples;
			row->weight += e->weight;
		}
	}
	return 0;
}

int report_group(struct vpmu_report *report)
{
	struct cell *line;
	int r;

	r = group_frames(&report->grouping, &report->view, report->keys);
	if (r == 0)
		r = group_entries(report);
	if (r < 0)
		return r;
	line = calloc(report->grouping.n_frame_groups + 1, sizeof(*line));
	if (!line)
		return -ENOMEM;
	r = count_entries(report, line);
	free(line);
	return r;
}

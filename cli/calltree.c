/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "calltree.h"
#include "text.h"
#include "util/hash.h"
#include "util/idtable.h"
#include "util/vec.h"

#define NOTHING	   UINT32_MAX
#define DEPTH_MAX  128	/* frames printed below a row; deeper recursion is cut, and says so */
#define SMALL	   0.5	/* branches below so many percent of the row are summed up, */
#define TINY	   CALLTREE_MIN_PERCENT	/* and those below so many of the half */

struct node {
	const struct vpmu_frame *frame;
	uint64_t weight;
	uint32_t parent, first_child, next; /* siblings, heaviest first once sorted */
};

struct tree {
	VEC(struct node) nodes; /* the first stands for the row itself */
	struct idtable table;	/* of nodes, by parent and frame */
	VEC(uint32_t) order;	/* scratch for sorting */
	const struct vpmu_row *row;
	bool callees;
	struct strbuf *out;
};

/*
 * The child of @parent for @frame, made if need be; NOTHING when out of memory. Equal frames of a
 * report are one object.
 */
static uint32_t child_for(struct tree *tree, uint32_t parent, const struct vpmu_frame *frame)
{
	uint32_t hash = (uint32_t)(hash_mix(parent, (uintptr_t)frame) >> 32);
	uint32_t id, i = idtable_first(&tree->table, hash);
	struct node *node;

	for (; (id = idtable_at(&tree->table, i, hash)) != IDTABLE_END; i = idtable_step(&tree->table, i)) {
		node = &tree->nodes.items[id];
		if (id != IDTABLE_OTHER && node->frame == frame && node->parent == parent)
			return id;
	}
	id = (uint32_t)tree->nodes.n;
	if (!vec_push(&tree->nodes, (struct node){ frame, 0, parent, NOTHING, NOTHING }))
		return NOTHING;
	tree->nodes.items[id].next = tree->nodes.items[parent].first_child;
	tree->nodes.items[parent].first_child = id;
	return idtable_put(&tree->table, hash, id) ? id : NOTHING;
}

static void add_chain(struct tree *tree, const struct vpmu_chain *chain)
{
	uint32_t at = 0;
	size_t i = 0;

	tree->nodes.items[0].weight += chain->weight;
	/* The row itself is the first frame; what is of interest is who called it, or what it called. */
	if (chain->n_frames && tree->row->keys[VPMU_KEY_SYMBOL])
		i = 1;
	for (; i < chain->n_frames; i++) {
		at = child_for(tree, at, chain->frames[i]);
		if (at == NOTHING) {
			tree->out->failed = true;
			return;
		}
		tree->nodes.items[at].weight += chain->weight;
	}
}

static int by_weight(const void *a, const void *b, void *data)
{
	const struct tree *tree = data;
	uint64_t wa = tree->nodes.items[*(const uint32_t *)a].weight;
	uint64_t wb = tree->nodes.items[*(const uint32_t *)b].weight;

	return wa < wb ? 1 : wa > wb ? -1 : 0;
}

static void sort_children(struct tree *tree, uint32_t parent)
{
	uint32_t *link = &tree->nodes.items[parent].first_child;

	tree->order.n = 0;
	for (uint32_t i = *link; i != NOTHING; i = tree->nodes.items[i].next)
		if (!vec_push(&tree->order, i))
			return; /* unsorted, but whole */
	if (tree->order.n < 2)
		return;
	qsort_r(tree->order.items, tree->order.n, sizeof(uint32_t), by_weight, tree);
	for (size_t i = 0; i < tree->order.n; i++) {
		*link = tree->order.items[i];
		link = &tree->nodes.items[*link].next;
	}
	*link = NOTHING;
}

static void begin_line(struct tree *tree, unsigned int indent)
{
	strbuf_addf(tree->out, "%*s", (int)indent, "");
}

static void add_percent(struct tree *tree, uint64_t weight)
{
	const struct vpmu_row *row = tree->row;

	strbuf_addf(tree->out, "%5.2f%%  ",
		    row->weight ? row->percent * (double)weight / (double)row->weight : 0.0);
}

static void add_name(struct tree *tree, const struct vpmu_frame *frame)
{
	if (frame->symbol)
		text_add_clean(tree->out, frame->symbol);
	else
		strbuf_addf(tree->out, "0x%" PRIx64, frame->address);
	if (frame->status != VPMU_FRAME_OK) {
		strbuf_adds(tree->out, " (");
		text_add_clean(tree->out, frame->dso ? frame->dso : "[unknown]");
		strbuf_addc(tree->out, ')');
	}
	strbuf_addc(tree->out, '\n');
}

#define PERCENT_COLUMNS 8 /* "12.34%  " */
#define BRANCH_COLUMNS	2

static uint64_t small_weight(const struct tree *tree)
{
	const struct vpmu_row *row = tree->row;
	double of_row = SMALL / 100, of_half = row->percent > 0 ? TINY / row->percent : 0;

	return (uint64_t)((double)row->weight * MAX(of_row, of_half));
}

/*
 * The caller of @parent that accounts for all of it, but for what is too small to be shown;
 * NOTHING if there is none such.
 */
static uint32_t lone_caller(const struct tree *tree, uint32_t parent)
{
	uint64_t weight = tree->nodes.items[parent].weight;

	uint32_t i = tree->nodes.items[parent].first_child;

	while (i != NOTHING && weight - tree->nodes.items[i].weight > small_weight(tree))
		i = tree->nodes.items[i].next;
	return i;
}

static void print_callers(struct tree *tree, uint32_t parent, unsigned int indent, unsigned int depth);

/*
 * The callers of @at, whose line began at @indent: one below the other in the column of its name, until they branch. Branches are
 * moved by a little only: recursion forty deep is to fit on a screen.
 */
static void print_column(struct tree *tree, uint32_t at, unsigned int indent, unsigned int depth)
{
	uint32_t caller;

	while ((caller = lone_caller(tree, at)) != NOTHING) {
		begin_line(tree, indent + PERCENT_COLUMNS);
		if (++depth > DEPTH_MAX) {
			strbuf_adds(tree->out, "... deeper frames left out\n");
			return;
		}
		add_name(tree, tree->nodes.items[caller].frame);
		at = caller;
	}
	print_callers(tree, at, indent + BRANCH_COLUMNS, depth);
}

static void print_callers(struct tree *tree, uint32_t parent, unsigned int indent, unsigned int depth)
{
	uint64_t small = small_weight(tree), rest = 0;
	size_t n_rest = 0;
	uint32_t next;

	sort_children(tree, parent);
	for (uint32_t i = tree->nodes.items[parent].first_child; i != NOTHING; i = next) {
		const struct node *node = &tree->nodes.items[i];

		next = node->next;
		if (node->weight < small || depth >= DEPTH_MAX) {
			rest += node->weight;
			n_rest++;
			continue;
		}
		begin_line(tree, indent);
		add_percent(tree, node->weight);
		add_name(tree, node->frame);
		print_column(tree, i, indent, depth + 1);
	}
	if (rest && rest >= small) {
		begin_line(tree, indent);
		add_percent(tree, rest);
		strbuf_addf(tree->out, "%zu other %s\n", n_rest, tree->callees ? "callees" : "callers");
	}
}

bool calltree_print(const struct vpmu_report *report, size_t i, bool callees, unsigned int indent, struct strbuf *out)
{
	struct tree tree = { .row = vpmu_report_row(report, i), .callees = callees, .out = out };
	size_t before = out->n, n_chains;
	const struct vpmu_chain *chains;

	if (tree.row->percent < CALLTREE_MIN_PERCENT)
		return false;
	chains = vpmu_report_chains(report, i, &n_chains);
	if (!n_chains)
		return false;
	if (!vec_push(&tree.nodes, (struct node){ .first_child = NOTHING, .next = NOTHING })) {
		out->failed = true;
		return false;
	}
	for (size_t k = 0; k < n_chains; k++)
		add_chain(&tree, &chains[k]);
	print_callers(&tree, 0, indent, 0);
	vec_free(&tree.nodes);
	vec_free(&tree.order);
	idtable_deinit(&tree.table);
	return out->n > before;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From stacks to a tree, without a tree in memory: sorted by their frames, outermost first, stacks
 * that begin alike are neighbours, so a walk over them meets the nodes of the tree in order. What is
 * open is one path from the root, as long as the deepest stack.
 *
 * The walk is done twice. The first one only counts how many nodes there are of each size, which
 * tells how small a node may be for the page's limit; the second one keeps those that are not
 * smaller. A node is never larger than the one it stands on, so what is kept is a tree.
 */
#include <errno.h>
#include <math.h>

#include "export/flame.h"
#include "util/hash.h"
#include "util/macro.h"

/* Sizes are shares of the whole; a step is a sixteenth of a factor of two. 64 bits have 64 of these. */
#define STEPS	     16
#define SIZE_BUCKETS (64 * STEPS + 1)

int flame_init(struct flame *flame)
{
	*flame = (struct flame){ .strings = intern_new() };
	return flame->strings ? 0 : -ENOMEM;
}

void flame_deinit(struct flame *flame)
{
	intern_free(flame->strings);
	vec_free(&flame->frames);
	idtable_deinit(&flame->frame_ids);
	vec_free(&flame->words);
	vec_free(&flame->stacks);
	vec_free(&flame->nodes);
}

uint32_t flame_string(struct flame *flame, const char *string)
{
	uint32_t id = intern_add(flame->strings, string);

	if (id != INTERN_FAILED)
		return id;
	flame->failed = true;
	return 0;
}

static bool same_frame(const struct flame *flame, const struct flame_frame *a, const struct flame_frame *b)
{
	if (a->name != b->name || a->owner != b->owner || a->status != b->status)
		return false;
	if (flame->compares && a->kind != FLAME_LABEL && b->kind != FLAME_LABEL)
		return (a->status == VPMU_FRAME_OK && !flame->by_file) || a->file == b->file;
	return a->kind == b->kind && a->file == b->file;
}

uint32_t flame_frame(struct flame *flame, const struct flame_frame *frame)
{
	uint32_t hash = (uint32_t)(hash_mix((uint64_t)frame->name << 32 | frame->owner, frame->status) >> 32);
	uint32_t id, i = idtable_first(&flame->frame_ids, hash);

	for (; (id = idtable_at(&flame->frame_ids, i, hash)) != IDTABLE_END; i = idtable_step(&flame->frame_ids, i))
		if (id != IDTABLE_OTHER && same_frame(flame, &flame->frames.items[id], frame))
			return id;
	id = (uint32_t)flame->frames.n;
	if (vec_push(&flame->frames, *frame) && idtable_put(&flame->frame_ids, hash, id))
		return id;
	flame->failed = true;
	return 0;
}

uint32_t flame_label(struct flame *flame, const char *name)
{
	return flame_frame(flame, &(struct flame_frame){ .name = flame_string(flame, name) });
}

void flame_push(struct flame *flame, uint32_t frame)
{
	if (!vec_push(&flame->words, frame))
		flame->failed = true;
}

/* Weights are whatever a file says they are. */
static uint64_t add_up(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* What the legend says. */
static void count_innermost(struct flame *flame, const struct flame_stack *stack)
{
	const struct flame_frame *frame;

	if (!stack->n || flame->failed)
		return;
	frame = &flame->frames.items[flame->words.items[flame->words.n - 1]];
	for (int m = 0; m < 2; m++) {
		uint64_t *sum = &flame->of_kind[frame->kind][m];

		*sum = add_up(*sum, stack->value[m]);
		if (frame->status != VPMU_FRAME_OK)
			flame->unnamed[m] = add_up(flame->unnamed[m], stack->value[m]);
	}
}

void flame_end_stack(struct flame *flame, uint64_t first, uint64_t second)
{
	struct flame_stack stack = { .first = flame->begin,
				     .n = (uint32_t)(flame->words.n - flame->begin),
				     .value = { first, second } };

	if (!vec_push(&flame->stacks, stack))
		flame->failed = true;
	count_innermost(flame, &stack);
	flame->begin = flame->words.n;
}

/* ---- the walk ---- */

/* The path that is open, from the root. */
struct growth {
	struct flame *flame;
	VEC(struct open_node {
		struct flame_node node;
		size_t at; /* among the nodes, in the second walk */
	}) path;
	uint64_t total[2];
	unsigned int limit; /* nodes in buckets beyond are left out */
	bool keeps;	    /* the second walk */
	size_t sizes[SIZE_BUCKETS];
};

/* 0 for all there is; larger for what is smaller. */
static unsigned int bucket_of(const struct growth *g, const struct flame_node *node)
{
	double share = 0, i;

	for (int m = 0; m < 2; m++)
		if (g->total[m])
			share = MAX(share, (double)node->total[m] / (double)g->total[m]);
	i = share > 0 ? -log2(share) * STEPS : SIZE_BUCKETS;
	return i < SIZE_BUCKETS - 1 ? (unsigned int)MAX(i, 0.0) : SIZE_BUCKETS - 1;
}

static void close_node(struct growth *g)
{
	struct flame *flame = g->flame;
	struct open_node *open = &g->path.items[--g->path.n];
	unsigned int bucket = bucket_of(g, &open->node);

	for (int m = 0; g->path.n && m < 2; m++)
		open[-1].node.total[m] = add_up(open[-1].node.total[m], open->node.total[m]);
	if (!g->keeps) {
		g->sizes[bucket]++;
	} else if (bucket <= g->limit) {
		flame->nodes.items[open->at] = open->node;
	} else {
		flame->nodes.n = open->at; /* what is above it was smaller still, and is gone */
		flame->n_pruned++;
	}
}

static void open_node(struct growth *g, uint32_t frame)
{
	struct flame *flame = g->flame;
	struct open_node open = { { .depth = (uint32_t)g->path.n, .frame = frame }, flame->nodes.n };

	if (!vec_push(&g->path, open) || (g->keeps && !vec_push(&flame->nodes, open.node)))
		flame->failed = true;
}

/* NULL if there are none: the stack is the root alone. */
static const uint32_t *frames_of(const struct flame *flame, const struct flame_stack *stack)
{
	return stack->n ? flame->words.items + stack->first : NULL;
}

/* From the path of one stack to that of the next: what both begin with stays open. */
static void walk(struct growth *g, uint32_t root)
{
	struct flame *flame = g->flame;

	open_node(g, root);
	for (size_t i = 0; i < flame->stacks.n && !flame->failed; i++) {
		const struct flame_stack *stack = &flame->stacks.items[i];
		const uint32_t *frames = frames_of(flame, stack);
		struct flame_node *top;
		uint32_t n = 0;

		while (n < stack->n && n + 1 < g->path.n && g->path.items[n + 1].node.frame == frames[n])
			n++;
		while (g->path.n > n + 1)
			close_node(g);
		while (n < stack->n && !flame->failed)
			open_node(g, frames[n++]);
		if (flame->failed)
			return;
		top = &g->path.items[g->path.n - 1].node;
		for (int m = 0; m < 2; m++) {
			top->self[m] = add_up(top->self[m], stack->value[m]);
			top->total[m] = add_up(top->total[m], stack->value[m]);
		}
	}
	while (g->path.n && !flame->failed)
		close_node(g);
}

static int compare_stacks(const void *pa, const void *pb, void *data)
{
	const struct flame *flame = data;
	const struct flame_stack *a = pa, *b = pb;
	const uint32_t *fa = frames_of(flame, a), *fb = frames_of(flame, b);

	for (uint32_t i = 0; i < a->n && i < b->n; i++)
		if (fa[i] != fb[i])
			return fa[i] < fb[i] ? -1 : 1;
	return (a->n > b->n) - (a->n < b->n);
}

/* How far one may go until there are too many. The root stays in any case. */
static unsigned int limit_of(const struct growth *g, size_t nodes_max)
{
	size_t n = 0;
	unsigned int i = 0;

	while (i < SIZE_BUCKETS && (n += g->sizes[i]) <= nodes_max)
		i++;
	return i ? i - 1 : 0;
}

/* What nodes that were kept stand for and neither they nor those above them show. */
static void count_pruned(struct flame *flame)
{
	for (int m = 0; m < 2; m++) {
		flame->pruned[m] = flame->nodes.items[0].total[m];
		vec_for_each(node, &flame->nodes)
			flame->pruned[m] -= MIN(node->self[m], flame->pruned[m]);
	}
}

int flame_grow(struct flame *flame, uint32_t root, size_t nodes_max)
{
	struct growth g = { .flame = flame };

	if (!flame->failed && flame->stacks.n)
		qsort_r(flame->stacks.items, flame->stacks.n, sizeof(*flame->stacks.items), compare_stacks, flame);
	vec_for_each(stack, &flame->stacks)
		for (int m = 0; m < 2; m++)
			g.total[m] = add_up(g.total[m], stack->value[m]);
	walk(&g, root);
	g.limit = limit_of(&g, nodes_max);
	g.keeps = true;
	g.path.n = 0;
	walk(&g, root);
	vec_free(&g.path);
	vec_free(&flame->words);
	vec_free(&flame->stacks);
	if (flame->failed)
		return -ENOMEM;
	count_pruned(flame);
	return 0;
}

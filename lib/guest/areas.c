/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The maple tree (lib/maple_tree.c, since 6.1) is a B-tree of ranges. Its nodes have 256 bytes. A
 * pointer to one carries its type in bits 3 to 6; an area's pointer in a leaf is plain. Types in the
 * tree of an address space:
 *
 *	leaf_64 (1), range_64 (2)	parent, pivot[15], slot[16]
 *	arange_64 (3)			parent, pivot[9], slot[10], gap[10], …
 *
 * Slot i covers what is above pivot[i - 1] up to and including pivot[i]; the first begins at the
 * node's own beginning, and the last one (or one whose pivot is 0) goes up to the node's end.
 */
#include <errno.h>
#include <string.h>

#include "guest/areas.h"
#include "util/macro.h"

#define NODE_BYTES 256
#define DEPTH_MAX  12 /* 10 to the 12th areas */

enum { MAPLE_LEAF_64 = 1, MAPLE_RANGE_64 = 2, MAPLE_ARANGE_64 = 3 };

struct walk {
	struct vpmu_kernel *kernel;
	int (*fn)(const struct area *area, void *data);
	void *data;
	unsigned int left;  /* nodes and areas still to be looked at */
	uint64_t above_gva; /* where the last area ended */
};

static int read_area(struct vpmu_kernel *k, uint64_t gva, struct area *ret, uint64_t *ret_next)
{
	const struct kernel_types *t = k->types;
	const struct {
		uint32_t offset;
		uint64_t *field;
	} fields[] = {
		{t->area.start, &ret->start_gva},
		{t->area.end, &ret->end_gva},
		{t->area.flags, &ret->flags},
		{t->area.page_offset, &ret->page_offset},
		{t->area.file, &ret->file_gva},
		{t->area.ops, &ret->ops_gva},
		{t->area.private_data, &ret->private_gva},
		{t->area.anon_name, &ret->name_gva},
		{t->area.next, ret_next},
	};

	*ret = (struct area){};
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		int r = fields[i].offset == NO_MEMBER || !fields[i].field
				? 0
				: kernel_read_u64(k, gva + fields[i].offset, fields[i].field);

		if (r < 0)
			return r;
	}
	return 0;
}

static int see_area(struct walk *walk, const struct area *area)
{
	if (area->start_gva < walk->above_gva || area->end_gva <= area->start_gva)
		return -EFAULT;
	walk->above_gva = area->end_gva;
	return walk->fn(area, walk->data);
}

/* Until 6.0: one behind the other. */
static int walk_list(struct walk *walk, uint64_t gva)
{
	struct area area;
	int r = 0;

	while (gva && r == 0 && walk->left) {
		walk->left--;
		r = read_area(walk->kernel, gva, &area, &gva);
		if (r == 0)
			r = see_area(walk, &area);
	}
	return r;
}

/* What slot of a leaf says: an area from @min to @max, or nothing. */
static int see_slot(struct walk *walk, uint64_t gva, uint64_t min, uint64_t max)
{
	struct area area;
	int r;

	if (!gva || !walk->left)
		return 0;
	walk->left--;
	r = read_area(walk->kernel, gva, &area, NULL);
	if (r < 0)
		return r;
	if (area.start_gva != min || area.end_gva - 1 != max)
		return -EFAULT;
	return see_area(walk, &area);
}

static int walk_node(struct walk *walk, uint64_t pointer, uint64_t min, uint64_t max, int depth)
{
	uint64_t words[NODE_BYTES / 8], low = min, high;
	unsigned int type = pointer >> 3 & 0xf, n_slots = type == MAPLE_ARANGE_64 ? 10 : 16;
	const uint64_t *pivots = words + 1, *slots = words + n_slots;
	int r;

	if (type < MAPLE_LEAF_64 || type > MAPLE_ARANGE_64 || depth == 0 || !walk->left)
		return -EFAULT;
	walk->left--;
	r = kernel_read(walk->kernel, pointer & ~0xffull, words, sizeof(words));
	if (r < 0)
		return r;
	if ((words[0] & ~0xffull) == (pointer & ~0xffull))
		return -EFAULT; /* dead: it was taken out of the tree */
	for (unsigned int i = 0; i < n_slots && r == 0; i++) {
		high = i == n_slots - 1 || (i && !pivots[i]) ? max : pivots[i];
		if (high < low || high > max)
			return -EFAULT;
		if (type == MAPLE_LEAF_64)
			r = see_slot(walk, slots[i], low, high);
		else if (slots[i])
			r = walk_node(walk, slots[i], low, high, depth - 1);
		if (high == max)
			break;
		low = high + 1;
	}
	return r;
}

int areas_each(struct vpmu_kernel *k, uint64_t mm_gva,
	       int (*fn)(const struct area *area, void *data), void *data)
{
	const struct kernel_types *t = k->types;
	struct walk walk = {.kernel = k, .fn = fn, .data = data, .left = AREAS_MAX};
	bool is_tree = t->mm.tree_root != NO_MEMBER;
	uint64_t first;
	int r = kernel_read_u64(k, mm_gva + (is_tree ? t->mm.tree_root : t->mm.first_area), &first);

	if (r < 0)
		return r;
	if (!is_tree)
		return walk_list(&walk, first);
	/* Anything but a node: an empty tree, or a single entry, which an address space does not
	 * have. */
	return (first & 3) == 2 && first > 4096 ? walk_node(&walk, first, 0, UINT64_MAX, DEPTH_MAX)
						: 0;
}

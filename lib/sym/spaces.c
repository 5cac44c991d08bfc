/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Spaces are treaps (binary trees ordered by address, heaps by a random priority, so balanced on average) whose
 * nodes are shared between spaces. A node may be changed only by the space whose stamp it bears; any other space copies the node
 * first, and with it the path from the root. When a space is cloned both sides get new stamps, so neither owns what they share.
 *
 * A process that maps and unmaps code all day (a JIT, dlopen() in a loop; munmap() is not recorded) thus costs some
 * twenty nodes for each replaced mapping, and not a copy of its whole list.
 *
 * Priorities are seeded at random: a recording that knew them could build a tree as deep as it has mappings.
 */
#include <sys/random.h>

#include "sym/spaces.h"
#include "util/hash.h"
#include "util/macro.h"
#include "util/vec.h"

#define NIL 0u /* node 0 is not used */

struct node {
	struct mapping map;
	uint32_t left, right;
	uint32_t priority, stamp;
};

struct space {
	uint32_t root, stamp;
};

struct spaces {
	VEC(struct node) nodes;
	VEC(struct space) spaces;
	uint32_t last_stamp;
	uint64_t seed;
	bool failed;
};

struct spaces *spaces_new(void)
{
	_cleanup_(spaces_freep) struct spaces *s = calloc(1, sizeof(*s));

	if (!s || !vec_push(&s->nodes, (struct node){}) || !vec_push(&s->spaces, (struct space){}))
		return NULL;
	if (getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK) < 0)
		s->seed = (uintptr_t)s;
	return take_ptr(s);
}

struct spaces *spaces_free(struct spaces *s)
{
	if (!s)
		return NULL;
	vec_free(&s->nodes);
	vec_free(&s->spaces);
	free(s);
	return NULL;
}

static uint32_t clone(struct spaces *s, uint32_t root)
{
	if (s->spaces.n >= SPACES_FAILED ||
	    !vec_push(&s->spaces, (struct space){ .root = root, .stamp = ++s->last_stamp }))
		return SPACES_FAILED;
	return (uint32_t)s->spaces.n - 1;
}

uint32_t spaces_add(struct spaces *s)
{
	return clone(s, NIL);
}

static struct node *at(const struct spaces *s, uint32_t node)
{
	return &s->nodes.items[node];
}

/* A new node; 0 and s->failed when out of memory. Makes pointers to nodes invalid. */
static uint32_t add_node(struct spaces *s, struct node node)
{
	if (s->nodes.n >= UINT32_MAX || !vec_push(&s->nodes, node)) {
		s->failed = true;
		return NIL;
	}
	return (uint32_t)s->nodes.n - 1;
}

static uint32_t new_node(struct spaces *s, uint32_t stamp, const struct mapping *map)
{
	uint32_t priority = (uint32_t)hash_mix(s->seed, s->nodes.n);

	return add_node(s, (struct node){ .map = *map, .priority = priority, .stamp = stamp });
}

/* @node itself if @stamp may change it, else a copy. */
static uint32_t own(struct spaces *s, uint32_t node, uint32_t stamp)
{
	struct node copy = *at(s, node);

	if (copy.stamp == stamp)
		return node;
	copy.stamp = stamp;
	return add_node(s, copy);
}

/* Parts @tree: what starts below @address goes to *ret_left, the rest to *ret_right. */
static void split(struct spaces *s, uint32_t tree, uint64_t address, uint32_t stamp, uint32_t *ret_left,
		  uint32_t *ret_right)
{
	uint32_t inner;

	if (tree == NIL || (tree = own(s, tree, stamp)) == NIL) {
		*ret_left = *ret_right = NIL;
	} else if (at(s, tree)->map.start < address) {
		split(s, at(s, tree)->right, address, stamp, &inner, ret_right);
		at(s, tree)->right = inner;
		*ret_left = tree;
	} else {
		split(s, at(s, tree)->left, address, stamp, ret_left, &inner);
		at(s, tree)->left = inner;
		*ret_right = tree;
	}
}

/* One tree of two, all of @left being below @right. */
static uint32_t join(struct spaces *s, uint32_t left, uint32_t right, uint32_t stamp)
{
	uint32_t inner, root;

	if (left == NIL || right == NIL)
		return left | right;
	if (at(s, left)->priority > at(s, right)->priority) {
		root = own(s, left, stamp);
		inner = join(s, at(s, root)->right, right, stamp);
		at(s, root)->right = inner;
	} else {
		root = own(s, right, stamp);
		inner = join(s, left, at(s, root)->left, stamp);
		at(s, root)->left = inner;
	}
	return root;
}

/* The last node that starts at or below @address. */
static uint32_t find_floor(const struct spaces *s, uint32_t tree, uint64_t address)
{
	uint32_t found = NIL;

	while (tree != NIL) {
		if (at(s, tree)->map.start <= address) {
			found = tree;
			tree = at(s, tree)->right;
		} else {
			tree = at(s, tree)->left;
		}
	}
	return found;
}

bool spaces_find(const struct spaces *s, uint32_t space, uint64_t address, struct mapping *ret_mapping)
{
	uint32_t node;

	if (space >= s->spaces.n)
		return false;
	node = find_floor(s, s->spaces.items[space].root, address);
	if (node == NIL || address >= at(s, node)->map.end)
		return false;
	*ret_mapping = at(s, node)->map;
	return true;
}

static bool overlap(const struct mapping *a, const struct mapping *b)
{
	return a->start < b->end && b->start < a->end;
}

/* Do both say the same about the addresses they share? */
static bool agree(const struct mapping *a, const struct mapping *b)
{
	return a->file == b->file && a->start - a->offset_bytes == b->start - b->offset_bytes;
}

/*
 * Looks at all mappings of @tree that overlap @map. Returns false if one of them says something else; else *ret_union is
 * @map and all of them in one.
 */
static bool unites(const struct spaces *s, uint32_t tree, const struct mapping *map, struct mapping *ret_union)
{
	uint64_t below = map->end - 1;

	*ret_union = *map;
	for (;;) {
		uint32_t node = find_floor(s, tree, below);
		const struct mapping *old = &at(s, node)->map;

		if (node == NIL || !overlap(old, map))
			return true;
		if (!agree(old, map))
			return false;
		ret_union->end = MAX(ret_union->end, old->end);
		if (old->start < ret_union->start) {
			ret_union->offset_bytes -= ret_union->start - old->start;
			ret_union->start = old->start;
		}
		if (old->start <= map->start)
			return true;
		below = old->start - 1;
	}
}

/* Programs are mapped alike again and again: what /proc said at the start, then the kernel's own record. */
static bool is_there(const struct spaces *s, uint32_t space, const struct mapping *map)
{
	struct mapping old;

	return spaces_find(s, space, map->start, &old) && old.end >= map->end && agree(&old, map);
}

/* Makes room for [start, end) in @tree: *ret_left and *ret_right are what lies below and above. */
static void carve(struct spaces *s, uint32_t tree, const struct mapping *map, uint32_t stamp,
		  uint32_t *ret_left, uint32_t *ret_right)
{
	uint32_t inside, last;

	split(s, tree, map->start, stamp, ret_left, &inside);
	split(s, inside, map->end, stamp, &inside, ret_right);
	/* What reaches over the end comes from the last mapping inside, or from one that began before all this. */
	last = find_floor(s, inside, UINT64_MAX);
	if (last == NIL)
		last = find_floor(s, *ret_left, UINT64_MAX);
	if (last != NIL && at(s, last)->map.end > map->end) {
		struct mapping rest = at(s, last)->map;

		rest.offset_bytes += map->end - rest.start;
		rest.start = map->end;
		*ret_right = join(s, new_node(s, stamp, &rest), *ret_right, stamp);
	}
	last = find_floor(s, *ret_left, UINT64_MAX);
	if (last != NIL && at(s, last)->map.end > map->start) {
		struct mapping rest = at(s, last)->map;
		uint32_t other;

		rest.end = map->start;
		split(s, *ret_left, rest.start, stamp, ret_left, &other);
		*ret_left = join(s, *ret_left, new_node(s, stamp, &rest), stamp);
	}
}

uint32_t spaces_map(struct spaces *s, uint32_t space, const struct mapping *mapping)
{
	struct mapping map = *mapping;
	uint32_t left, right, middle, root, stamp;

	if (map.start >= map.end || is_there(s, space, &map))
		return space;
	root = s->spaces.items[space].root;
	if (!unites(s, root, mapping, &map)) {
		map = *mapping;
		s->spaces.items[space].stamp = ++s->last_stamp;
		space = clone(s, root);
	} else if (space == 0) {
		space = clone(s, root);
	}
	if (space == SPACES_FAILED)
		return SPACES_FAILED;
	stamp = s->spaces.items[space].stamp;
	carve(s, root, &map, stamp, &left, &right);
	middle = new_node(s, stamp, &map);
	root = join(s, join(s, left, middle, stamp), right, stamp);
	if (s->failed)
		return SPACES_FAILED;
	s->spaces.items[space].root = root;
	return space;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A flame graph on its way to a page.
 *
 * Stacks are added outermost frame first, each with two numbers; what these are (samples and weight,
 * a base and what is compared with it, count and time) is the caller's to say. Equal beginnings of
 * stacks fall together: what is left is a tree, a node's width is the sum of what went through it.
 *
 *   flame_init()  ->  flame_frame(), flame_push() …, flame_end_stack()  ->  flame_grow()  ->  flame_write_page()
 *
 * Running out of memory is remembered in `failed` and returned by flame_grow().
 */
#ifndef EXPORT_FLAME_H
#define EXPORT_FLAME_H

#include <stdbool.h>
#include <vpmu/export.h>
#include <vpmu/symbolize.h>

#include "export/output.h"
#include "util/idtable.h"
#include "util/intern.h"
#include "util/vec.h"

/* What a frame is, which is its colour. Names and colours are the page's (page/model.js). */
enum flame_kind {
	FLAME_LABEL = 0, /* no code: all, a guest, a process */
	FLAME_GUEST_KERNEL,
	FLAME_GUEST_USER,
	FLAME_HOST_KERNEL,
	FLAME_VMM,	  /* a guest's hypervisor process: QEMU */
	FLAME_HOST_USER,  /* another process of the host */
	FLAME_HYPERVISOR, /* the processor mode of that name */
	FLAME_UNKNOWN,
	FLAME_EXIT, /* the reason of a VM exit */
};
#define FLAME_KIND_COUNT 9

/* A place in code. Equal ones are one frame. */
struct flame_frame {
	uint32_t name, file; /* strings */
	uint32_t owner;	     /* further string that tells apart what looks the same, 0 = none; not shown */
	uint8_t kind;	     /* enum flame_kind */
	uint8_t status;	     /* enum vpmu_frame_status */
	uint16_t blank;
};

/* Nodes are in the order of a walk: a node, then what is below it. */
struct flame_node {
	uint32_t depth; /* the root's is 0 */
	uint32_t frame;
	uint64_t total[2], self[2];
};

struct flame_stack {
	size_t first; /* of its words */
	uint32_t n;
	uint64_t value[2];
};

struct flame {
	bool failed;
	/* The two numbers are of two profiles, not two measures of one. Of which kind frames are does not tell them apart then. */
	bool compares;
	bool by_file; /* comparisons: frames are the same if name and file are, not if the name is */
	struct intern *strings;
	VEC(struct flame_frame) frames;
	struct idtable frame_ids;
	VEC(uint32_t) words; /* frames of all stacks, outermost first */
	VEC(struct flame_stack) stacks;
	size_t begin; /* of the stack being pushed */
	/* By the innermost frame: of each kind, and those without a name. */
	uint64_t of_kind[FLAME_KIND_COUNT][2], unnamed[2];

	/* after flame_grow() */
	VEC(struct flame_node) nodes;
	uint64_t n_pruned;	/* nodes left out because they are too small, */
	uint64_t pruned[2];	/* and what went through them */
};

/* More frames than this nobody looks at, and a page with them would be slow. The smallest are left out. */
#define FLAME_NODES_MAX 50000

int flame_init(struct flame *flame);
void flame_deinit(struct flame *flame);
#define _flame_ __attribute__((cleanup(flame_deinit)))

/* A string of the graph; bytes of any kind. */
uint32_t flame_string(struct flame *flame, const char *string);

/* The number of this frame. */
uint32_t flame_frame(struct flame *flame, const struct flame_frame *frame);
/* The same for a label. */
uint32_t flame_label(struct flame *flame, const char *name);

/* One stack, frame by frame; it ends with what it counts. */
void flame_push(struct flame *flame, uint32_t frame);
void flame_end_stack(struct flame *flame, uint64_t first, uint64_t second);

/* Makes the tree: its root is @root. At most @nodes_max nodes. -ENOMEM. Stacks are used up. */
int flame_grow(struct flame *flame, uint32_t root, size_t nodes_max);

/* What stands around the graph. NULL = none. */
struct flame_page {
	const char *kind;     /* "profile", "diff", "exits" */
	const char *title;    /* guests */
	const char *source;   /* which recording, session, period */
	const char *event;
	const char *notes[3]; /* coverage lines; whatever the graph stands on */
	struct {
		const char *name; /* "samples"; the label of what is compared */
		const char *unit; /* "", "ns" */
	} measures[2];
	unsigned int n_measures; /* 2 unless the second number means nothing */
	unsigned int measure;	 /* which is shown first */
};

/* Writes an HTML file. Failures are left in @out. */
void flame_write_page(const struct flame *flame, const struct flame_page *page, struct output *out);

#endif

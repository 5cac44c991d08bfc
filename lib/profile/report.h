/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A report, seen from inside. A file each:
 *
 *   report.c         options, totals, order of rows
 *   report_group.c   entries and frames into rows
 *   report_chains.c  the call chains of rows
 */
#ifndef PROFILE_REPORT_H
#define PROFILE_REPORT_H

#include "profile/profile.h"
#include "profile/select.h"

#define KEY_BIT(key) (1u << VPMU_KEY_##key)
#define FRAME_KEYS   (KEY_BIT(SIDE) | KEY_BIT(DSO) | KEY_BIT(SYMBOL) | KEY_BIT(LINE))

#define GROUP_NONE UINT32_MAX

/* What of an entry, apart from its frames, tells rows apart. */
struct entry_group {
	uint32_t guest, vcpu, process; /* 0 unless they are keys */
	bool is_guest;
};

/*
 * Rows are counted in a table (entry group) x (frame group); with entries sorted by entry group
 * only one line of it is needed at a time.
 */
struct grouping {
	VEC(struct entry_group) entry_groups;
	uint32_t *order;	/* entries of the selection, by entry group, then as they were */
	uint32_t *group_of;	/* entry group of order[i] */
	size_t n_order;
	uint32_t *frame_groups; /* by frame */
	uint32_t *examples;	/* a frame of each group */
	size_t n_frame_groups;
};

/* A row before it has words. */
struct group_row {
	uint32_t entry_group, frame_group;
	uint32_t n_entries;	/* how many entries it counts */
	uint32_t last_entry;	/* + 1; an entry counts once, be a symbol on its stack twice */
	uint64_t samples, weight, self_samples, self_weight;
};

struct report_half {
	uint64_t samples, weight;
};

struct report_chains;

struct vpmu_report {
	struct vpmu_report_opts opts;
	unsigned int keys; /* KEY_BIT()s */
	struct profile_view view;
	struct selection selection;
	struct grouping grouping;
	VEC(struct group_row) groups;
	struct vpmu_row *rows;
	uint32_t *row_groups; /* row -> groups[] */
	size_t n_rows;
	struct report_half halves[2]; /* by is_guest */
	struct vpmu_coverage coverage; /* of the selection */
	struct intern *words;	      /* texts made for keys: numbers, lines */
	struct report_chains *chains; /* NULL unless asked for */
};

/* ---- report_group.c ---- */
int report_group(struct vpmu_report *report);
void grouping_deinit(struct grouping *grouping);

/* The frames of an entry: its stack, or its leaf alone. */
static inline const uint32_t *entry_frames(const struct profile_view *view,
					   const struct profile_entry *e, uint32_t *ret_n)
{
	if (e->stack == PROFILE_NO_STACK || !view->stacks[e->stack].n) {
		*ret_n = 1;
		return &e->leaf;
	}
	*ret_n = view->stacks[e->stack].n;
	return view->stack_frames + view->stacks[e->stack].first;
}

/* ---- report_chains.c ---- */
int report_chains_new(const struct vpmu_report *report, struct report_chains **ret_chains);
struct report_chains *report_chains_free(struct report_chains *chains);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Samples, counted by what tells them apart before anything has a name: their context, their
 * address, their raw call chain. The hot path of every report.
 */
#ifndef PROFILE_STACKS_H
#define PROFILE_STACKS_H

#include <stdint.h>
#include <vpmu/sample.h>
#include "util/cleanup.h"
#include "util/intern.h"

/*
 * Everything about a sample but its addresses. Few: threads' names times address spaces times
 * sides.
 */
struct stack_context {
	uint32_t event, guest, vcpu, comm_id, space, side;
};

/* One distinct sample. Its chain follows it in memory. */
struct raw_stack {
	uint64_t samples, weight, ip;
	uint32_t context; /* index */
	uint32_t n;	  /* words of chain, context markers included */
	uint64_t chain[];
};

struct stacks;

/* @processes: threads' names are interned there. @chains: whether chains matter. */
struct stacks *stacks_new(struct intern *processes, bool chains);
struct stacks *stacks_free(struct stacks *stacks);
DEFINE_CLEANUP(struct stacks *, stacks_free)

/* About how much memory it takes. */
size_t stacks_bytes(const struct stacks *stacks);

void stacks_add(struct stacks *stacks, const struct vpmu_sample *sample);

/* All samples are in: 0, or -ENOMEM if some could not be counted. Only afterwards: */
int stacks_finish(struct stacks *stacks);

/* How many distinct samples there are. */
size_t stacks_count(const struct stacks *stacks);

const struct stack_context *stacks_context(const struct stacks *stacks, uint32_t context);
/* The interned name of the context's thread. */
uint32_t stacks_process(const struct stacks *stacks, uint32_t context);

/*
 * Takes up to @n distinct samples out, in order of first appearance; 0 at the end. They last
 * until the next call.
 */
size_t stacks_take(struct stacks *stacks, const struct raw_stack **ret_raw, size_t n);

#endif

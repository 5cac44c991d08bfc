/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sampled exits, added up by what they were and the guest code that led to them. Bounded: what
 * finds no room for a stack of its own is counted as that.
 */
#ifndef SESSION_EXIT_STACKS_H
#define SESSION_EXIT_STACKS_H

#include <vpmu/exits.h>
#include "bpf/vpmu_bpf.h"
#include "util/idtable.h"
#include "util/vec.h"

#define EXIT_STACKS_MAX 65536

struct exit_stack {
	uint32_t thread; /* index */
	uint64_t id;	 /* VPMU_BPF_EXIT_ID() */
	bool user;
	uint8_t end; /* enum vpmu_bpf_end */
	uint16_t n_addresses;
	size_t first; /* in addresses; innermost first */
	uint64_t samples, count, total_ns;
};

struct exit_stacks {
	VEC(struct exit_stack) items;
	VEC(uint64_t) addresses;
	struct idtable index;
	uint64_t n_unfit; /* exits */
	size_t max;	  /* stacks; 0 = EXIT_STACKS_MAX */
};

void exit_stacks_deinit(struct exit_stacks *stacks);

/* One sample of thread number @thread. -ENOMEM. */
int exit_stacks_add(struct exit_stacks *stacks, uint32_t thread, const struct vpmu_bpf_sample *sample);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "session/exit_stacks.h"
#include "util/hash.h"
#include "util/macro.h"

void exit_stacks_deinit(struct exit_stacks *stacks)
{
	vec_free(&stacks->items);
	vec_free(&stacks->addresses);
	idtable_deinit(&stacks->index);
}

/* ip, then the return addresses; of an exit at an unknown place there are none. */
static size_t addresses_of(const struct vpmu_bpf_sample *sample, uint64_t addresses[VPMU_BPF_MAX_ADDRESSES])
{
	size_t n = MIN(sample->n_frames, (size_t)VPMU_BPF_MAX_ADDRESSES - 1);

	if (!sample->ip)
		return 0;
	addresses[0] = sample->ip;
	for (size_t i = 0; i < n; i++)
		addresses[i + 1] = sample->frames[i];
	return n + 1;
}

static bool is_same(const struct exit_stacks *stacks, const struct exit_stack *a, const struct exit_stack *b,
		    const uint64_t *addresses)
{
	return a->thread == b->thread && a->id == b->id && a->user == b->user && a->end == b->end &&
	       a->n_addresses == b->n_addresses &&
	       (!b->n_addresses || memcmp(stacks->addresses.items + a->first, addresses,
					  b->n_addresses * sizeof(*addresses)) == 0);
}

static struct exit_stack *find(struct exit_stacks *stacks, uint32_t hash, const struct exit_stack *like,
			       const uint64_t *addresses)
{
	uint32_t id, i = idtable_first(&stacks->index, hash);

	for (; (id = idtable_at(&stacks->index, i, hash)) != IDTABLE_END; i = idtable_step(&stacks->index, i))
		if (id != IDTABLE_OTHER && is_same(stacks, &stacks->items.items[id], like, addresses))
			return &stacks->items.items[id];
	return NULL;
}

static struct exit_stack *add(struct exit_stacks *stacks, uint32_t hash, struct exit_stack stack,
			      const uint64_t *addresses)
{
	if (!vec_reserve(&stacks->addresses, stack.n_addresses) || !vec_reserve(&stacks->items, 1) ||
	    !idtable_put(&stacks->index, hash, (uint32_t)stacks->items.n))
		return NULL;
	stack.first = stacks->addresses.n;
	for (size_t i = 0; i < stack.n_addresses; i++)
		stacks->addresses.items[stacks->addresses.n++] = addresses[i];
	(void)vec_push(&stacks->items, stack);
	return &stacks->items.items[stacks->items.n - 1];
}

int exit_stacks_add(struct exit_stacks *stacks, uint32_t thread, const struct vpmu_bpf_sample *sample)
{
	uint64_t addresses[VPMU_BPF_MAX_ADDRESSES] = {};
	struct exit_stack like = {
		.thread = thread,
		.id = sample->event_id,
		.user = sample->user,
		.end = sample->end,
		.n_addresses = (uint16_t)addresses_of(sample, addresses),
	};
	uint64_t hash = hash_mix(hash_bytes(addresses, like.n_addresses * sizeof(*addresses)),
				 hash_mix((uint64_t)thread << 9 | like.user << 8 | like.end, like.id));
	struct exit_stack *stack = find(stacks, (uint32_t)(hash >> 32), &like, addresses);

	if (!stack && stacks->items.n >= (stacks->max ? stacks->max : EXIT_STACKS_MAX)) {
		stacks->n_unfit += sample->cpu;
		return 0;
	}
	if (!stack)
		stack = add(stacks, (uint32_t)(hash >> 32), like, addresses);
	if (!stack)
		return -ENOMEM;
	stack->samples++;
	stack->count += sample->cpu; /* so many does it stand for */
	stack->total_ns += sample->cpu * sample->period;
	return 0;
}

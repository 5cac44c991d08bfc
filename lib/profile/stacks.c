/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting a million samples a second and more. What it costs is not instructions but cache
 * misses: the tables of a large recording do not fit a cache, and a sample's place in them is
 * random. So:
 *
 *   - A chain is hashed and compared as it lies in the record, markers and all. What it means is
 *     asked once per distinct chain, not per sample.
 *   - A counted sample touches two cold lines: the slot of the table, which holds 32 bits of the
 *     hash, so that a slot is passed by without looking at what it stands for; and the raw_stack,
 *     which has its counts beside its chain.
 *   - Both are asked for ahead. Samples wait in a queue, a copy of their chain with them (the
 *     caller's does not live longer than the call): a sample's slot is prefetched as it enters,
 *     its raw_stack when it is half-way, and it is counted when it leaves. In between, others'
 *     work is done.
 *   - Distinct samples lie one after another in chunks that never move; a slot refers to them by
 *     a 32-bit unit number. There is no allocation per sample, and growing the table copies 8
 *     bytes a stack, in sequence.
 *   - Contexts come in runs (a ring is emptied at a time, a thread runs for a while): a small
 *     direct-mapped cache answers nearly all.
 */
#include <errno.h>
#include <string.h>

#include "profile/stacks.h"
#include "util/hash.h"
#include "util/idtable.h"
#include "util/macro.h"
#include "util/vec.h"

#define UNIT_BYTES    8u
#define CHUNK_UNITS   (1u << 17) /* 1 MiB */
#define CHUNK_OF(unit) ((unit) / CHUNK_UNITS)

#define N_RECENT 256 /* contexts in the direct-mapped cache */
#define N_QUEUE	 16
#define HALF_WAY (N_QUEUE / 2)
#define QUEUE_CHAIN_WORDS 160 /* kernel.perf_event_max_stack's default of 127, markers, and some */

struct waiting {
	uint64_t ip, weight, samples;
	uint32_t context, n, hash;
	const uint64_t *chain; /* words, or a long chain of the caller's */
	uint64_t words[QUEUE_CHAIN_WORDS];
};

struct stacks {
	bool chains;
	bool failed;
	struct intern *names;

	/* contexts */
	VEC(struct stack_context) contexts;
	VEC(uint32_t) processes; /* by context */
	struct idtable context_ids;
	struct {
		struct stack_context key;
		uint32_t id1;
	} recent[N_RECENT];

	/* distinct samples: slots hold (hash, unit + 1) */
	struct idtable table;
	VEC(uint64_t *) chunks;
	uint32_t used_units; /* of the last chunk */
	uint64_t take_unit;  /* stacks_take(): the next one */
	size_t n_distinct;

	unsigned int head, n_waiting;
	struct waiting queue[N_QUEUE];
};

struct stacks *stacks_new(struct intern *names, bool chains)
{
	struct stacks *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->names = names;
	s->chains = chains;
	s->used_units = CHUNK_UNITS;
	if (!idtable_reserve(&s->table, 1024))
		return stacks_free(s);
	return s;
}

struct stacks *stacks_free(struct stacks *s)
{
	if (!s)
		return NULL;
	vec_free(&s->contexts);
	vec_free(&s->processes);
	idtable_deinit(&s->context_ids);
	idtable_deinit(&s->table);
	vec_for_each(chunk, &s->chunks)
		free(*chunk);
	vec_free(&s->chunks);
	free(s);
	return NULL;
}

size_t stacks_bytes(const struct stacks *s)
{
	return sizeof(*s) + s->contexts.room * sizeof(*s->contexts.items) + s->processes.room * sizeof(*s->processes.items) +
	       idtable_bytes(&s->context_ids) + idtable_bytes(&s->table) + s->chunks.n * CHUNK_UNITS * UNIT_BYTES;
}

/* ---- contexts ---- */

static bool context_same(const struct stack_context *a, const struct stack_context *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static uint32_t context_find(struct stacks *s, const struct stack_context *key, const char *comm)
{
	uint32_t hash = (uint32_t)hash_bytes(key, sizeof(*key)), id, process;
	uint32_t i = idtable_first(&s->context_ids, hash);

	for (; (id = idtable_at(&s->context_ids, i, hash)) != IDTABLE_END;
	     i = idtable_step(&s->context_ids, i))
		if (id != IDTABLE_OTHER && context_same(&s->contexts.items[id], key))
			return id;
	id = (uint32_t)s->contexts.n;
	process = intern_add(s->names, comm);
	if (process == INTERN_FAILED || !vec_reserve(&s->processes, 1) ||
	    !vec_reserve(&s->contexts, 1) || !idtable_put(&s->context_ids, hash, id))
		return UINT32_MAX;
	s->contexts.items[s->contexts.n++] = *key;
	s->processes.items[s->processes.n++] = process;
	return id;
}

/*
 * The address space only matters where user addresses can be: without it kernel samples
 * share their context.
 */
static uint32_t context_of(struct stacks *s, const struct vpmu_sample *sample, uint32_t n_chain)
{
	struct stack_context key = {
		.event = sample->event,
		.guest = sample->guest,
		.vcpu = sample->vcpu,
		.comm_id = sample->comm_id,
		.space = n_chain || sample->side == VPMU_SIDE_HOST_USER || sample->side == VPMU_SIDE_GUEST_USER
				 ? sample->space
				 : 0,
		.side = sample->side,
	};
	uint32_t at =
		(key.comm_id * 31 + key.space * 7 + key.side * 2 + key.event + key.vcpu) % N_RECENT;

	if (likely(s->recent[at].id1 && context_same(&s->recent[at].key, &key)))
		return s->recent[at].id1 - 1;
	s->recent[at].key = key;
	s->recent[at].id1 = context_find(s, &key, sample->comm) + 1; /* 0 if it failed */
	return s->recent[at].id1 - 1;
}

/* ---- distinct samples ---- */

/* Two lanes, so that one multiplication does not wait for the other. */
static uint64_t chain_hash(uint64_t seed, const uint64_t *words, uint32_t n)
{
	uint64_t a = seed, b = n;

	for (; n >= 4; n -= 4, words += 4) {
		a = hash_mix(a ^ words[0], words[1]);
		b = hash_mix(b ^ words[2], words[3]);
	}
	if (n >= 2) {
		a = hash_mix(a ^ words[0], words[1]);
		n -= 2;
		words += 2;
	}
	return hash_mix(a ^ (n ? words[0] : 0), b);
}

static struct raw_stack *at_unit(const struct stacks *s, uint32_t unit)
{
	return (struct raw_stack *)(s->chunks.items[CHUNK_OF(unit)] + unit % CHUNK_UNITS);
}

/* A new distinct sample; UINT32_MAX when out of memory or out of unit numbers (32 GiB). */
static uint32_t raw_stack_new(struct stacks *s, const struct waiting *w)
{
	uint32_t units = (uint32_t)(sizeof(struct raw_stack) / UNIT_BYTES) + w->n, unit;
	struct raw_stack *raw;

	if (units > CHUNK_UNITS)
		return UINT32_MAX;
	if (units > CHUNK_UNITS - s->used_units) {
		uint64_t *chunk;

		if (s->chunks.n >= IDTABLE_MAX / CHUNK_UNITS || !vec_reserve(&s->chunks, 1))
			return UINT32_MAX;
		chunk = malloc((size_t)CHUNK_UNITS * UNIT_BYTES);
		if (!chunk)
			return UINT32_MAX;
		/* What is left of the last one is marked, for stacks_take(). */
		if (s->chunks.n && s->used_units < CHUNK_UNITS)
			s->chunks.items[s->chunks.n - 1][s->used_units] = 0;
		s->chunks.items[s->chunks.n++] = chunk;
		s->used_units = 0;
	}
	unit = (uint32_t)(s->chunks.n - 1) * CHUNK_UNITS + s->used_units;
	raw = at_unit(s, unit);
	*raw = (struct raw_stack){ .ip = w->ip, .context = w->context, .n = w->n };
	memcpy(raw->chain, w->chain, w->n * sizeof(*w->chain));
	s->used_units += units;
	return unit;
}

static bool raw_stack_is(const struct raw_stack *raw, const struct waiting *w)
{
	return raw->ip == w->ip && raw->context == w->context && raw->n == w->n &&
	       memcmp(raw->chain, w->chain, w->n * sizeof(*w->chain)) == 0;
}

static void count(struct stacks *s, const struct waiting *w)
{
	uint32_t unit, i = idtable_first(&s->table, w->hash);
	struct raw_stack *raw;

	for (; (unit = idtable_at(&s->table, i, w->hash)) != IDTABLE_END;
	     i = idtable_step(&s->table, i))
		if (unit != IDTABLE_OTHER && raw_stack_is(at_unit(s, unit), w))
			break;
	if (unit == IDTABLE_END) {
		unit = raw_stack_new(s, w);
		if (unit == UINT32_MAX || !idtable_put(&s->table, w->hash, unit)) {
			s->failed = true;
			return;
		}
	}
	raw = at_unit(s, unit);
	raw->samples += w->samples;
	raw->weight += w->weight;
}

/* ---- the queue ---- */

/*
 * Its slot is at hand by now. If it is another's, the right one is near; that one's stack is
 * fetched when it is needed.
 */
static void prefetch_stack(const struct stacks *s, const struct waiting *w)
{
	uint32_t unit = idtable_at(&s->table, idtable_first(&s->table, w->hash), w->hash);

	if (unit < IDTABLE_MAX)
		__builtin_prefetch(at_unit(s, unit), 1);
}

void stacks_add(struct stacks *s, const struct vpmu_sample *sample)
{
	struct waiting *w = &s->queue[s->head % N_QUEUE];
	uint32_t n = s->chains ? sample->n_chain : 0;

	if (s->n_waiting == N_QUEUE)
		count(s, w);
	else
		s->n_waiting++;
	w->context = context_of(s, sample, n);
	w->ip = sample->ip;
	w->weight = sample->weight;
	w->samples = 1 + sample->n_more;
	w->n = n;
	w->hash = (uint32_t)chain_hash(sample->ip ^ (uint64_t)w->context << 32, sample->chain, n);
	s->head++;
	if (unlikely(w->context == UINT32_MAX)) {
		s->failed = true;
		s->head--;
		s->n_waiting--;
		return;
	}
	if (unlikely(n > QUEUE_CHAIN_WORDS)) {
		w->chain = sample->chain;
		count(s, w);
		s->head--;
		s->n_waiting--;
		return;
	}
	w->chain = w->words;
	if (n) /* without a chain its address is NULL */
		memcpy(w->words, sample->chain, n * sizeof(*w->words));
	idtable_prefetch(&s->table, w->hash);
	prefetch_stack(s, &s->queue[(s->head - 1 - HALF_WAY) % N_QUEUE]);
}

int stacks_finish(struct stacks *s)
{
	for (unsigned int i = s->head - s->n_waiting; i != s->head; i++)
		count(s, &s->queue[i % N_QUEUE]);
	s->n_waiting = 0;
	s->n_distinct = s->table.n;
	idtable_deinit(&s->table);
	if (s->chunks.n && s->used_units < CHUNK_UNITS)
		s->chunks.items[s->chunks.n - 1][s->used_units] = 0;
	return s->failed ? -ENOMEM : 0;
}

/* ---- afterwards ---- */

size_t stacks_count(const struct stacks *s)
{
	return s->n_distinct;
}

const struct stack_context *stacks_context(const struct stacks *s, uint32_t context)
{
	return &s->contexts.items[context];
}

uint32_t stacks_process(const struct stacks *s, uint32_t context)
{
	return s->processes.items[context];
}

size_t stacks_take(struct stacks *s, const struct raw_stack **ret_raw, size_t n)
{
	for (;;) {
		size_t chunk = (size_t)CHUNK_OF(s->take_unit), taken = 0;

		if (chunk) {
			free(s->chunks.items[chunk - 1]);
			s->chunks.items[chunk - 1] = NULL;
		}
		if (chunk >= s->chunks.n)
			return 0;
		while (taken < n && CHUNK_OF(s->take_unit) == chunk) {
			const struct raw_stack *raw = at_unit(s, (uint32_t)s->take_unit);

			if (raw->samples) {
				ret_raw[taken++] = raw;
				s->take_unit += sizeof(*raw) / UNIT_BYTES + raw->n;
			} else {
				s->take_unit = (chunk + 1) * CHUNK_UNITS;
			}
		}
		if (taken)
			return taken;
	}
}

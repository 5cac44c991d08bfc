/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From counted addresses to a profile with names: every distinct sample's chain is read once, its
 * addresses become frames, and what then looks the same (other addresses of one function, other
 * runs of one program) falls together. Raw stacks are given back as they are used up, so both
 * forms of a profile are never in memory at once.
 */
#include <errno.h>

#include "profile/naming.h"
#include "profile/stacks.h"
#include "profile/tables.h"
#include "util/error.h"
#include "util/macro.h"

#define BATCH 16

/* A distinct sample on its way. */
struct resolved {
	struct profile_entry entry;
	size_t first;	/* of its frames */
	uint32_t n;
	uint32_t hash;	/* for the table it goes into next */
};

struct resolving {
	struct vpmu_profile *profile;
	struct stacks *stacks;
	struct naming *naming;
	uint32_t *guests;	/* of the session or recording -> of the profile */
	uint32_t n_guests;
	struct vpmu_coverage coverage;
	struct resolved batch[BATCH];
	VEC(uint32_t) frames;	/* of the batch */
};

static int take_guests(struct resolving *r, struct vpmu_symbolizer *symbolizer)
{
	struct profile_tables *t = &r->profile->tables;

	r->n_guests = symbolizer_n_guests(symbolizer);
	r->guests = calloc(r->n_guests + 1, sizeof(*r->guests));
	if (!r->guests)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->n_guests; i++) {
		uint32_t name = intern_add(t->strings, symbolizer_guest_name(symbolizer, i));
		uint32_t uuid = intern_add(t->strings, symbolizer_guest_uuid(symbolizer, i));

		if (name == INTERN_FAILED || uuid == INTERN_FAILED)
			return -ENOMEM;
		r->guests[i] = tables_guest(t, name, uuid);
		if (r->guests[i] == UINT32_MAX)
			return -ENOMEM;
	}
	return 0;
}

/* A frame that says that the rest is missing. */
static uint32_t truncated_frame(struct vpmu_profile *profile, enum vpmu_side side)
{
	struct profile_frame frame = { .side = (uint8_t)side, .status = VPMU_FRAME_TRUNCATED };

	frame.symbol = intern_add(profile->tables.strings, "[truncated]");
	frame.dso = intern_add(profile->tables.strings, "[unknown]");
	if (frame.symbol == INTERN_FAILED || frame.dso == INTERN_FAILED)
		return UINT32_MAX;
	return tables_frame(&profile->tables, &frame);
}

/* A walk over what is behind the leaf in a chain. */
struct chain_walk {
	const struct raw_stack *raw;
	const struct stack_context *context;
	enum vpmu_side side;
	uint32_t i;
	bool begun;
};

/*
 * The kernel's chain of a host sample starts with the sampled address itself; that one is the
 * leaf, which is there already (and from the sample, in case a precise event moved it). Nothing
 * is known about addresses before the first marker but the sample's side. Behind a marker that
 * nobody knows nothing is known either (perf drops the whole chain): *ret_place.side is UNKNOWN
 * then, and it is the last one.
 */
static bool chain_next(struct chain_walk *w, struct place *ret_place)
{
	while (w->i < w->raw->n) {
		uint64_t word = w->raw->chain[w->i++];
		bool leaf = !w->begun && w->side == w->context->side;

		if (word < VPMU_CONTEXT_MAX) {
			w->begun = true;
			if (leaf)
				continue;
			*ret_place = place_of(w->side, w->context->guest, w->context->space, word);
			return true;
		}
		w->side = symbolizer_side_of_marker(word);
		if (word == VPMU_CONTEXT_USER_DEFERRED)
			w->i++; /* a cookie: which later record holds the user's part */
		if (w->side == VPMU_SIDE_UNKNOWN) {
			w->i = w->raw->n;
			*ret_place = (struct place){ .side = VPMU_SIDE_UNKNOWN };
			return true;
		}
	}
	return false;
}

static struct chain_walk chain_begin(const struct resolving *r, const struct raw_stack *raw)
{
	const struct stack_context *c = stacks_context(r->stacks, raw->context);

	return (struct chain_walk){ .raw = raw, .context = c, .side = (enum vpmu_side)c->side };
}

static struct place leaf_of(const struct resolving *r, const struct raw_stack *raw)
{
	const struct stack_context *c = stacks_context(r->stacks, raw->context);

	return place_of((enum vpmu_side)c->side, c->guest, c->space, raw->ip);
}

static void count_leaf(struct resolving *r, uint32_t leaf, uint64_t samples)
{
	unsigned int status = r->profile->tables.frames.items[leaf].status;

	if (status == VPMU_FRAME_OK)
		r->coverage.resolved += samples;
	else if (status == VPMU_FRAME_OPAQUE || status == VPMU_FRAME_NESTED)
		r->coverage.opaque += samples;
}

/*
 * A batch goes through the tables step by step: in each step everybody's slots are fetched into
 * the cache before the first one is needed.
 */
static void prefetch_places(const struct resolving *r, const struct raw_stack *raw)
{
	struct chain_walk walk = chain_begin(r, raw);
	struct place place = leaf_of(r, raw);

	do
		naming_prefetch(r->naming, &place);
	while (chain_next(&walk, &place));
}

/*
 * Several of these in a row say no more than one: callers outside every mapping of a process. In a guest without symbols it is how a
 * recursion looks, whose depth is worth knowing. And addresses of a side that nobody knows.
 */
static bool says_it_once(const struct resolving *r, const struct place *place, uint32_t frame)
{
	if (place->side == VPMU_SIDE_UNKNOWN)
		return true;
	return r->profile->tables.frames.items[frame].status == VPMU_FRAME_UNMAPPED &&
	       !(VPMU_SIDES_GUEST & 1u << place->side);
}

static int name_places(struct resolving *r, const struct raw_stack *raw, struct resolved *ret)
{
	const struct stack_context *c = stacks_context(r->stacks, raw->context);
	struct chain_walk walk = chain_begin(r, raw);
	struct place place = leaf_of(r, raw);
	uint32_t last = UINT32_MAX;

	*ret = (struct resolved){
		.entry = {
			.guest = c->guest < r->n_guests ? r->guests[c->guest] : VPMU_NO_GUEST,
			.vcpu = c->vcpu,
			.process = stacks_process(r->stacks, raw->context),
			.event = c->event,
			.side = (uint8_t)c->side,
			.stack = PROFILE_NO_STACK,
			.samples = raw->samples,
			.weight = raw->weight,
		},
		.first = r->frames.n,
	};
	do {
		uint32_t frame = place.side == VPMU_SIDE_UNKNOWN && ret->n ?
					 truncated_frame(r->profile, (enum vpmu_side)c->side) :
					 naming_frame(r->naming, &place, ret->n);

		if (frame == UINT32_MAX)
			return -ENOMEM;
		if (ret->n && frame == last && says_it_once(r, &place, frame))
			continue;
		if (!vec_push(&r->frames, frame))
			return -ENOMEM;
		last = frame;
		ret->n++;
	} while (chain_next(&walk, &place));
	ret->entry.leaf = r->frames.items[ret->first];
	count_leaf(r, ret->entry.leaf, raw->samples);
	if (ret->n > 1) {
		ret->hash = tables_stack_hash(r->frames.items + ret->first, ret->n);
		idtable_prefetch(&r->profile->tables.stack_ids, ret->hash);
	}
	return 0;
}

static int store_stack(struct resolving *r, struct resolved *one)
{
	struct profile_tables *t = &r->profile->tables;

	if (one->n > 1) {
		one->entry.stack = tables_stack(t, r->frames.items + one->first, one->n, one->hash);
		if (one->entry.stack == UINT32_MAX)
			return -ENOMEM;
	}
	one->hash = tables_entry_hash(&one->entry);
	idtable_prefetch(&t->entry_ids, one->hash);
	return 0;
}

static int resolve_batch(struct resolving *r, const struct raw_stack *const *raw, size_t n)
{
	r->frames.n = 0;
	for (size_t i = 0; i < n; i++)
		prefetch_places(r, raw[i]);
	for (size_t i = 0; i < n; i++)
		if (name_places(r, raw[i], &r->batch[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (store_stack(r, &r->batch[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (tables_count(&r->profile->tables, &r->batch[i].entry, r->batch[i].hash) < 0)
			return -ENOMEM;
	return 0;
}

static void resolving_deinit(struct resolving *r)
{
	naming_free(r->naming);
	free(r->guests);
	vec_free(&r->frames);
}

VPMU_API int vpmu_profile_resolve(struct vpmu_profile *profile, struct vpmu_symbolizer *symbolizer,
				  const struct vpmu_coverage *coverage, struct vpmu_error *reterr)
{
	__attribute__((cleanup(resolving_deinit))) struct resolving r = {
		.profile = profile,
		.stacks = profile->filling,
		.coverage = *coverage,
	};
	const struct raw_stack *raw[BATCH];
	size_t n;

	if (profile->resolved)
		return error_set(reterr, -EINVAL, "the profile is resolved already");
	if (profile->failed || (r.stacks && stacks_finish(r.stacks) < 0))
		return error_oom(reterr);
	/* A session has counted opaque samples itself; here each is counted when it gets its frame. */
	r.coverage.resolved = r.coverage.opaque = 0;
	profile->failed = true; /* raw stacks are used up on the way: there is no second try */
	/*
	 * Chains repeat addresses, but samples of the same place differ in their chains: a fair
	 * guess for either.
	 */
	r.naming = naming_new(&profile->tables, symbolizer, profile->opts.lines,
			      r.stacks ? stacks_count(r.stacks) : 0);
	if (!r.naming || take_guests(&r, symbolizer) < 0)
		return error_oom(reterr);
	while (r.stacks && (n = stacks_take(r.stacks, raw, BATCH)))
		if (resolve_batch(&r, raw, n) < 0)
			return error_oom(reterr);
	profile->filling = stacks_free(profile->filling);
	tables_trim(&profile->tables);
	profile->coverage = r.coverage;
	profile->failed = false;
	profile->resolved = true;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From counted addresses to a profile with names: every distinct sample's chain is read once, its addresses become frames, and
 * what then looks the same (other addresses of one function, other runs of one program) falls together. Raw stacks are given
 * back as they are used up, so both forms of a profile are never in memory at once.
 */
#include <errno.h>

#include "profile/naming.h"
#include "profile/stacks.h"
#include "profile/tables.h"
#include "util/error.h"
#include "util/macro.h"

struct resolving {
	struct vpmu_profile *profile;
	struct stacks *stacks;
	struct naming *naming;
	uint32_t *guests;	/* of the session or recording -> of the profile */
	uint32_t n_guests;
	VEC(uint32_t) frames;	/* the stack at hand */
	struct vpmu_coverage coverage;
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

/* The side that a context marker announces; UNKNOWN for one that Linux does not have. */
static enum vpmu_side side_of_marker(uint64_t marker)
{
	switch (marker) {
	case VPMU_CONTEXT_HV:
		return VPMU_SIDE_HYPERVISOR;
	case VPMU_CONTEXT_KERNEL:
		return VPMU_SIDE_HOST_KERNEL;
	case VPMU_CONTEXT_USER:
	case VPMU_CONTEXT_USER_DEFERRED:
		return VPMU_SIDE_HOST_USER;
	case VPMU_CONTEXT_GUEST:
	case VPMU_CONTEXT_GUEST_KERNEL:
		return VPMU_SIDE_GUEST_KERNEL;
	case VPMU_CONTEXT_GUEST_USER:
		return VPMU_SIDE_GUEST_USER;
	}
	return VPMU_SIDE_UNKNOWN;
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

/*
 * The frames behind the leaf. The kernel's chain of a host sample starts with the sampled address itself; that one is the
 * leaf, which is there already (and from the sample, in case a precise event moved it). Nothing is known about addresses
 * before the first marker but the sample's side. A marker that nobody knows, the chain ends there (perf drops all of it).
 */
static int chain_frames(struct resolving *r, const struct raw_stack *raw, const struct stack_context *c)
{
	enum vpmu_side side = (enum vpmu_side)c->side;
	bool first = true;

	for (uint32_t i = 0; i < raw->n; i++) {
		uint64_t word = raw->chain[i];
		uint32_t frame;

		if (word >= VPMU_CONTEXT_MAX) {
			side = side_of_marker(word);
			if (word == VPMU_CONTEXT_USER_DEFERRED)
				i++; /* a cookie: which later record holds the user's part */
			if (side != VPMU_SIDE_UNKNOWN)
				continue;
			frame = truncated_frame(r->profile, (enum vpmu_side)c->side);
			i = raw->n;
		} else if (first && side == c->side) {
			first = false;
			continue;
		} else {
			frame = naming_frame(r->naming, side, c->guest, c->space, word);
		}
		first = false;
		if (frame == UINT32_MAX || !vec_push(&r->frames, frame))
			return -ENOMEM;
	}
	return 0;
}

static void count_leaf(struct resolving *r, uint32_t leaf, uint64_t samples)
{
	unsigned int status = r->profile->tables.frames.items[leaf].status;

	if (status == VPMU_FRAME_OK)
		r->coverage.resolved += samples;
	else if (status == VPMU_FRAME_OPAQUE)
		r->coverage.opaque += samples;
}

static int resolve_one(struct resolving *r, const struct raw_stack *raw)
{
	const struct stack_context *c = stacks_context(r->stacks, raw->context);
	struct profile_entry entry = {
		.guest = c->guest < r->n_guests ? r->guests[c->guest] : VPMU_NO_GUEST,
		.vcpu = c->vcpu,
		.process = stacks_process(r->stacks, raw->context),
		.event = c->event,
		.side = (uint8_t)c->side,
		.stack = PROFILE_NO_STACK,
		.samples = raw->samples,
		.weight = raw->weight,
	};
	struct profile_tables *t = &r->profile->tables;

	entry.leaf = naming_frame(r->naming, (enum vpmu_side)c->side, c->guest, c->space, raw->ip);
	if (entry.leaf == UINT32_MAX)
		return -ENOMEM;
	count_leaf(r, entry.leaf, raw->samples);
	r->frames.n = 0;
	if (!vec_push(&r->frames, entry.leaf) || chain_frames(r, raw, c) < 0)
		return -ENOMEM;
	if (r->frames.n > 1) {
		entry.stack = tables_stack(t, r->frames.items, r->frames.n);
		if (entry.stack == UINT32_MAX)
			return -ENOMEM;
	}
	return tables_count(t, &entry);
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
	const struct raw_stack *raw;

	if (profile->resolved)
		return error_set(reterr, -EINVAL, "the profile is resolved already");
	if (profile->failed || (r.stacks && stacks_finish(r.stacks) < 0))
		return error_oom(reterr);
	profile->failed = true; /* raw stacks are used up on the way: there is no second try */
	r.naming = naming_new(&profile->tables, symbolizer, profile->opts.lines);
	if (!r.naming || take_guests(&r, symbolizer) < 0)
		return error_oom(reterr);
	while (r.stacks && (raw = stacks_take(r.stacks)))
		if (resolve_one(&r, raw) < 0)
			return error_oom(reterr);
	profile->filling = stacks_free(profile->filling);
	tables_trim(&profile->tables);
	profile->coverage = r.coverage;
	profile->failed = false;
	profile->resolved = true;
	return 0;
}

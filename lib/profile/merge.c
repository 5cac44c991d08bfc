/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Adding one profile to another. Numbers of the two mean different things, names mean the same:
 * each table of @from is translated into a map from its numbers to those of @into, every table in
 * terms of the ones before it, and the entries last.
 */
#include <errno.h>
#include <stdio.h>

#include "profile/tables.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"

struct translation {
	uint32_t *strings, *events, *guests, *frames, *stacks;
	uint32_t n_events; /* that are known */
};

static void translation_deinit(struct translation *tr)
{
	free(tr->strings);
	free(tr->events);
	free(tr->guests);
	free(tr->frames);
	free(tr->stacks);
}

static uint32_t *map_new(size_t n)
{
	return calloc(n + 1, sizeof(uint32_t));
}

static int translate_names(struct profile_tables *into, const struct profile_tables *from,
			   struct translation *tr)
{
	for (uint32_t i = 0; i < intern_count(from->strings); i++) {
		tr->strings[i] = intern_add(into->strings, intern_string(from->strings, i));
		if (tr->strings[i] == INTERN_FAILED)
			return -ENOMEM;
	}
	for (size_t i = 0; i < from->guests.n; i++) {
		const struct profile_guest *g = &from->guests.items[i];

		tr->guests[i] = tables_guest(into, tr->strings[g->name], tr->strings[g->uuid]);
		if (tr->guests[i] == UINT32_MAX)
			return -ENOMEM;
	}
	for (size_t i = 0; i < from->frames.n; i++) {
		struct profile_frame frame = from->frames.items[i];

		frame.symbol = tr->strings[frame.symbol];
		frame.dso = tr->strings[frame.dso];
		frame.build_id = tr->strings[frame.build_id];
		frame.src_file = tr->strings[frame.src_file];
		tr->frames[i] = tables_frame(into, &frame);
		if (tr->frames[i] == UINT32_MAX)
			return -ENOMEM;
	}
	return 0;
}

static uint32_t find_event(const struct profile_tables *t, uint32_t name)
{
	uint32_t i = 0;

	while (i < t->events.n && t->events.items[i].name != name)
		i++;
	return i;
}

/*
 * By name, where both know what their events are: cycles are not to be added to nanoseconds only because a later session got
 * another event. Else by index, and whoever knows more tells.
 */
static int translate_events(struct profile_tables *into, const struct profile_tables *from, struct translation *tr)
{
	bool by_name = into->events.n || !into->entries.n;

	tr->n_events = (uint32_t)from->events.n;
	for (uint32_t i = 0; i < tr->n_events; i++) {
		struct profile_event event = from->events.items[i];

		event.name = tr->strings[event.name];
		tr->events[i] = by_name ? find_event(into, event.name) : i;
		if (tr->events[i] == into->events.n && tables_event(into, &event) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int translate_stacks(struct profile_tables *into, const struct profile_tables *from,
			    struct translation *tr)
{
	VEC(uint32_t) frames = {};
	int r = 0;

	for (size_t i = 0; i < from->stacks.n && r == 0; i++) {
		const struct profile_stack *s = &from->stacks.items[i];

		if (!vec_reserve(&frames, s->n))
			r = -ENOMEM;
		for (uint32_t k = 0; k < s->n && r == 0; k++)
			frames.items[k] = tr->frames[from->stack_frames.items[s->first + k]];
		if (r == 0)
			tr->stacks[i] = tables_stack(into, frames.items, s->n,
						     tables_stack_hash(frames.items, s->n));
		if (tr->stacks[i] == UINT32_MAX)
			r = -ENOMEM;
	}
	vec_free(&frames);
	return r;
}

static int add_entries(struct profile_tables *into, const struct profile_tables *from,
		       const struct translation *tr)
{
	for (size_t i = 0; i < from->entries.n; i++) {
		struct profile_entry e = from->entries.items[i];
		int r;

		e.guest = e.guest == VPMU_NO_GUEST ? VPMU_NO_GUEST : tr->guests[e.guest];
		if (e.event < tr->n_events)
			e.event = tr->events[e.event];
		e.process = tr->strings[e.process];
		e.leaf = tr->frames[e.leaf];
		e.stack = e.stack == PROFILE_NO_STACK ? PROFILE_NO_STACK : tr->stacks[e.stack];
		r = tables_count(into, &e, tables_entry_hash(&e));
		if (r < 0)
			return r;
	}
	return 0;
}

static void add_coverage(struct vpmu_coverage *into, const struct vpmu_coverage *from)
{
	into->samples += from->samples;
	for (int side = 0; side < VPMU_SIDE_COUNT; side++)
		into->sides[side] += from->sides[side];
	into->resolved += from->resolved;
	into->opaque += from->opaque;
	into->lost += from->lost;
	into->throttled += from->throttled;
	into->truncated_chains += from->truncated_chains;
	into->guest_chains += from->guest_chains;
	into->guest_processes += from->guest_processes;
	into->guests_not_linux = MAX(into->guests_not_linux, from->guests_not_linux);
	for (int end = 0; end < VPMU_CHAIN_END_COUNT; end++)
		into->chain_ends[end] += from->chain_ends[end];
	into->damaged_records += from->damaged_records;
	if (!into->source[0])
		memcpy(into->source, from->source, sizeof(into->source));
	else if (from->source[0] && !streq(into->source, from->source))
		snprintf(into->source, sizeof(into->source), "several sources");
}

/*
 * Memory is all that can run out on the way. Names, frames and stacks that no entry uses do not
 * show, so only the entries' room is made sure of before the first count changes: after a failure
 * @into is what it was.
 */
VPMU_API int vpmu_profile_merge(struct vpmu_profile *into, const struct vpmu_profile *from,
				struct vpmu_error *reterr)
{
	const struct profile_tables *t = &from->tables;
	__attribute__((cleanup(translation_deinit))) struct translation tr = {};

	if ((!into->resolved && into->filling) || !from->resolved)
		return error_set(reterr, -EINVAL, "cannot merge a profile that is not resolved");
	if (into == from)
		return error_set(reterr, -EINVAL, "cannot merge a profile with itself");
	tr.strings = map_new(intern_count(t->strings));
	tr.events = map_new(t->events.n);
	tr.guests = map_new(t->guests.n);
	tr.frames = map_new(t->frames.n);
	tr.stacks = map_new(t->stacks.n);
	if (!tr.strings || !tr.events || !tr.guests || !tr.frames || !tr.stacks ||
	    translate_names(&into->tables, t, &tr) < 0 ||
	    translate_stacks(&into->tables, t, &tr) < 0 ||
	    translate_events(&into->tables, t, &tr) < 0 ||
	    !vec_reserve(&into->tables.entries, t->entries.n) ||
	    !idtable_reserve(&into->tables.entry_ids, t->entries.n) ||
	    add_entries(&into->tables, t, &tr) < 0)
		return error_oom(reterr);
	add_coverage(&into->coverage, &from->coverage);
	into->opts.chains |= from->opts.chains;
	into->resolved = true;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A profile into bytes (profile_bytes.h). Only what the chosen entries need is written, numbered in the order in which
 * they need it; so what was written, read and written again is the same bytes.
 */
#include <errno.h>
#include <vpmu/session.h>

#include "format/packed.h"
#include "profile/profile_bytes.h"
#include "profile/tables.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/varint.h"

/* Things of one kind: which are needed, in order, and each one's new number. */
struct numbering {
	uint32_t *of; /* new number + 1, by old number */
	VEC(uint32_t) order;
};

struct writing {
	const struct vpmu_profile *profile;
	const struct profile_tables *t;
	unsigned int sides;
	bool rest, nobodys; /* the figures, the samples */
	struct numbering strings, guests, frames, stacks;
	VEC(uint32_t) entries;
	struct strbuf body;
};

static int numbering_init(struct numbering *numbering, size_t n)
{
	numbering->of = calloc(n + 1, sizeof(*numbering->of));
	return numbering->of ? 0 : -ENOMEM;
}

static void numbering_deinit(struct numbering *numbering)
{
	free(numbering->of);
	vec_free(&numbering->order);
}

static void writing_deinit(struct writing *w)
{
	numbering_deinit(&w->strings);
	numbering_deinit(&w->guests);
	numbering_deinit(&w->frames);
	numbering_deinit(&w->stacks);
	vec_free(&w->entries);
	strbuf_deinit(&w->body);
}

/* True if @old is new here. */
static bool need(struct writing *w, struct numbering *numbering, uint32_t old)
{
	if (numbering->of[old])
		return false;
	if (!vec_push(&numbering->order, old)) {
		w->body.failed = true;
		return false;
	}
	numbering->of[old] = (uint32_t)numbering->order.n;
	return true;
}

static void need_string(struct writing *w, uint32_t string)
{
	if (string)
		need(w, &w->strings, string);
}

static void need_frame(struct writing *w, uint32_t id)
{
	const struct profile_frame *frame = &w->t->frames.items[id];

	if (!need(w, &w->frames, id))
		return;
	need_string(w, frame->symbol);
	need_string(w, frame->dso);
	need_string(w, frame->build_id);
	need_string(w, frame->src_file);
}

static void need_entry(struct writing *w, const struct profile_entry *e)
{
	const struct profile_stack *stack;

	need_string(w, e->process);
	if (e->stack == PROFILE_NO_STACK) {
		need_frame(w, e->leaf);
		return;
	}
	stack = &w->t->stacks.items[e->stack];
	if (!need(w, &w->stacks, e->stack))
		return;
	for (uint32_t i = 0; i < stack->n; i++)
		need_frame(w, w->t->stack_frames.items[stack->first + i]);
}

static int need_guests(struct writing *w, const struct vpmu_profile_write_opts *opts, struct vpmu_error *reterr)
{
	size_t n = opts->guests ? opts->n_guests : w->t->guests.n;

	if (n > PROFILE_BYTES_GUESTS_MAX)
		return error_set(reterr, -E2BIG, "a profile of %zu guests: more than %u cannot be written", n,
				 PROFILE_BYTES_GUESTS_MAX);
	for (size_t i = 0; i < n; i++) {
		uint32_t guest = opts->guests ? opts->guests[i] : (uint32_t)i;

		if (guest >= w->t->guests.n)
			return error_set(reterr, -EINVAL, "the profile has no guest number %u", guest);
		need(w, &w->guests, guest);
		need_string(w, w->t->guests.items[guest].name);
		need_string(w, w->t->guests.items[guest].uuid);
	}
	return 0;
}

static bool wanted(const struct writing *w, const struct profile_entry *e)
{
	if (!(w->sides & 1u << e->side))
		return false;
	return e->guest == VPMU_NO_GUEST ? w->nobodys : w->guests.of[e->guest] != 0;
}

static void need_entries(struct writing *w)
{
	for (size_t i = 0; i < w->t->entries.n; i++) {
		if (!wanted(w, &w->t->entries.items[i]))
			continue;
		if (!vec_push(&w->entries, (uint32_t)i))
			w->body.failed = true;
		need_entry(w, &w->t->entries.items[i]);
	}
}

/* ---- the body, part by part ---- */

static void put(struct writing *w, uint64_t value)
{
	varint_add(&w->body, value);
}

static void put_text(struct writing *w, const char *text)
{
	size_t n = strlen(text);

	put(w, n);
	strbuf_add(&w->body, text, n);
}

static void put_string(struct writing *w, uint32_t string)
{
	put(w, w->strings.of[string]);
}

static void put_coverage(struct writing *w)
{
	static const struct vpmu_coverage nothing;
	const struct vpmu_coverage *c = w->rest ? &w->profile->coverage : &nothing;
	const uint64_t totals[] = { c->lost,		c->throttled,	 c->truncated_chains,
				    c->damaged_records, c->guest_chains, c->guest_processes };

	put(w, ARRAY_SIZE(totals));
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		put(w, totals[i]);
	put(w, VPMU_CHAIN_END_COUNT);
	for (int end = 0; end < VPMU_CHAIN_END_COUNT; end++)
		put(w, c->chain_ends[end]);
	put_text(w, w->profile->coverage.source);
}

static void put_names(struct writing *w)
{
	put(w, w->strings.order.n);
	vec_for_each(id, &w->strings.order)
		put_text(w, intern_string(w->t->strings, *id));
	put(w, w->t->events.n);
	vec_for_each(event, &w->t->events) {
		put_string(w, event->name);
		put(w, (event->info.is_clock ? PROFILE_BYTES_CLOCK : 0) |
			       (event->info.excludes_guest ? PROFILE_BYTES_EXCLUDES_GUEST : 0));
		put(w, event->info.frequency_hz);
		put(w, event->info.period);
	}
	put(w, w->guests.order.n);
	vec_for_each(id, &w->guests.order) {
		put_string(w, w->t->guests.items[*id].name);
		put_string(w, w->t->guests.items[*id].uuid);
	}
}

static void put_frames(struct writing *w)
{
	put(w, w->frames.order.n);
	vec_for_each(id, &w->frames.order) {
		const struct profile_frame *frame = &w->t->frames.items[*id];

		put_string(w, frame->symbol);
		put_string(w, frame->dso);
		put_string(w, frame->build_id);
		put_string(w, frame->src_file);
		put(w, frame->src_line);
		put(w, frame->side + 8u * frame->status);
	}
	put(w, w->stacks.order.n);
	vec_for_each(id, &w->stacks.order) {
		const struct profile_stack *stack = &w->t->stacks.items[*id];

		put(w, stack->n);
		for (uint32_t i = 0; i < stack->n; i++)
			put(w, w->frames.of[w->t->stack_frames.items[stack->first + i]] - 1u);
	}
}

static void put_entries(struct writing *w)
{
	put(w, w->entries.n);
	vec_for_each(i, &w->entries) {
		const struct profile_entry *e = &w->t->entries.items[*i];

		put(w, e->guest == VPMU_NO_GUEST ? 0 : w->guests.of[e->guest]);
		put(w, e->vcpu == VPMU_NO_VCPU ? 0 : e->vcpu + 1ull);
		put_string(w, e->process);
		put(w, e->side + 8ull * e->event);
		put(w, e->stack == PROFILE_NO_STACK ? 0 : w->stacks.of[e->stack]);
		if (e->stack == PROFILE_NO_STACK)
			put(w, w->frames.of[e->leaf] - 1u);
		put(w, e->samples);
		put(w, e->weight);
	}
}

static int write_out(struct writing *w, void **ret_bytes, size_t *ret_n, struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf out = {};
	size_t n;

	put(w, w->profile->opts.chains ? PROFILE_BYTES_CHAINS : 0);
	put_coverage(w);
	put_names(w);
	put_frames(w);
	put_entries(w);
	strbuf_adds(&out, PROFILE_BYTES_MAGIC);
	strbuf_addc(&out, PROFILE_BYTES_VERSION);
	if (w->body.failed || packed_write(w->body.text, w->body.n, &out) < 0)
		return error_oom(reterr);
	n = out.n;
	*ret_bytes = strbuf_take(&out);
	*ret_n = n;
	return 0;
}

VPMU_API int vpmu_profile_write(const struct vpmu_profile *profile, const struct vpmu_profile_write_opts *opts,
				void **ret_bytes, size_t *ret_n, struct vpmu_error *reterr)
{
	const struct profile_tables *t = &profile->tables;
	__attribute__((cleanup(writing_deinit))) struct writing w = { .profile = profile, .t = t };
	struct vpmu_profile_write_opts o;
	int r;

	if (!opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "options of a newer library version");
	opts_take(&o, opts);
	if (!profile->resolved)
		return error_set(reterr, -EINVAL, "cannot write a profile that is not resolved");
	w.sides = o.sides ? o.sides : VPMU_SIDES_ALL;
	w.rest = !o.no_rest;
	w.nobodys = !o.no_rest && !o.guests_only;
	if (numbering_init(&w.strings, intern_count(t->strings)) < 0 || numbering_init(&w.guests, t->guests.n) < 0 ||
	    numbering_init(&w.frames, t->frames.n) < 0 || numbering_init(&w.stacks, t->stacks.n) < 0)
		return error_oom(reterr);
	r = need_guests(&w, &o, reterr);
	if (r < 0)
		return r;
	vec_for_each(event, &t->events)
		need_string(&w, event->name);
	need_entries(&w);
	return write_out(&w, ret_bytes, ret_n, reterr);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes into a profile (profile_bytes.h). They may come from anybody. Every number is checked when it is read: counts against the
 * bytes that are left (each thing takes at least one), references against what came before. Everything goes through the tables, so
 * what is there twice falls together and the result is a profile like any other.
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

/* A kind of things: the table's number for each of the file's. */
struct numbers {
	uint32_t *of;
	uint32_t n;
};

struct reading {
	struct vpmu_profile *profile;
	struct profile_tables *t;
	struct cursor c;
	struct numbers strings, guests, frames, stacks;
	VEC(uint32_t) stack;
	uint64_t samples, weight; /* sums */
	bool no_memory;
};

DEFINE_CLEANUP(struct vpmu_profile *, vpmu_profile_free)

static void reading_deinit(struct reading *r)
{
	free(r->strings.of);
	free(r->guests.of);
	free(r->frames.of);
	free(r->stacks.of);
	vec_free(&r->stack);
}

static uint64_t get(struct reading *r)
{
	return cursor_varint(&r->c);
}

static void refuse(struct reading *r)
{
	r->c.failed = true;
	r->c.p = r->c.end;
}

/* A number below @end. */
static uint32_t get_below(struct reading *r, uint64_t end)
{
	uint64_t value = get(r);

	if (value < end)
		return (uint32_t)value;
	refuse(r);
	return 0;
}

/* How many things follow, each of which takes @bytes_each or more. */
static uint32_t get_count(struct reading *r, size_t bytes_each)
{
	return get_below(r, cursor_left(&r->c) / bytes_each + 1);
}

static uint32_t get_number(struct reading *r, const struct numbers *numbers)
{
	uint32_t i = get_below(r, numbers->n);

	return i < numbers->n ? numbers->of[i] : 0;
}

/* Room for @n numbers; false when there is none. */
static bool number(struct reading *r, struct numbers *numbers, uint32_t n)
{
	numbers->of = calloc(n + 1ull, sizeof(*numbers->of));
	if (!numbers->of)
		r->no_memory = true;
	return numbers->of;
}

static void next_number(struct reading *r, struct numbers *numbers, uint32_t id)
{
	if (id == UINT32_MAX)
		r->no_memory = true;
	numbers->of[numbers->n++] = id;
}

static bool ok(const struct reading *r)
{
	return !r->c.failed && !r->no_memory;
}

static void read_coverage(struct reading *r)
{
	struct vpmu_coverage *c = &r->profile->coverage;
	uint64_t *totals[] = { &c->lost,	    &c->throttled,    &c->truncated_chains,
			       &c->damaged_records, &c->guest_chains, &c->guest_processes };
	uint32_t n = get_count(r, 1), source;
	const char *text;

	for (uint32_t i = 0; i < n && ok(r); i++) {
		uint64_t value = get(r);

		if (i < ARRAY_SIZE(totals))
			*totals[i] = value;
	}
	n = get_count(r, 1);
	for (uint32_t i = 0; i < n && ok(r); i++) {
		uint64_t value = get(r);

		if (i < VPMU_CHAIN_END_COUNT)
			c->chain_ends[i] = value;
	}
	source = get_below(r, sizeof(c->source));
	text = cursor_bytes(&r->c, source);
	if (text && memchr(text, '\0', source))
		refuse(r);
	else if (text)
		memcpy(c->source, text, source);
}

static void read_strings(struct reading *r)
{
	uint32_t n = get_count(r, 1);

	if (!ok(r) || !number(r, &r->strings, n + 1))
		return;
	next_number(r, &r->strings, 0);
	for (uint32_t i = 0; i < n && ok(r); i++) {
		uint32_t length = get_count(r, 1);
		const char *text = cursor_bytes(&r->c, length);

		if (text && memchr(text, '\0', length))
			refuse(r);
		else if (text)
			next_number(r, &r->strings, intern_add_bytes(r->t->strings, text, length));
	}
}

static void read_events(struct reading *r)
{
	uint32_t n = get_below(r, PROFILE_BYTES_EVENTS_MAX + 1);

	for (uint32_t i = 0; i < n && ok(r); i++) {
		struct profile_event event = { .name = get_number(r, &r->strings) };

		uint64_t flags = get(r);

		event.info.is_clock = flags & PROFILE_BYTES_CLOCK;
		event.info.excludes_guest = flags & PROFILE_BYTES_EXCLUDES_GUEST;
		event.info.frequency_hz = get(r);
		event.info.period = get(r);
		if (ok(r) && tables_event(r->t, &event) < 0)
			r->no_memory = true;
	}
}

static void read_guests(struct reading *r)
{
	uint32_t n = get_below(r, PROFILE_BYTES_GUESTS_MAX + 1);

	if (!ok(r) || !number(r, &r->guests, n))
		return;
	for (uint32_t i = 0; i < n && ok(r); i++) {
		uint32_t name = get_number(r, &r->strings), uuid = get_number(r, &r->strings);

		if (ok(r))
			next_number(r, &r->guests, tables_guest(r->t, name, uuid));
	}
}

static void read_frames(struct reading *r)
{
	uint32_t n = get_count(r, 6);

	if (!ok(r) || !number(r, &r->frames, n))
		return;
	for (uint32_t i = 0; i < n && ok(r); i++) {
		struct profile_frame frame = {
			.symbol = get_number(r, &r->strings),
			.dso = get_number(r, &r->strings),
			.build_id = get_number(r, &r->strings),
			.src_file = get_number(r, &r->strings),
			.src_line = get_below(r, 1ull << 32),
		};
		uint32_t kind = get_below(r, 8 * VPMU_FRAME_STATUS_COUNT);

		frame.side = kind % 8;
		frame.status = (uint8_t)(kind / 8);
		if (frame.side >= VPMU_SIDE_COUNT)
			refuse(r);
		if (ok(r))
			next_number(r, &r->frames, tables_frame(r->t, &frame));
	}
}

static void read_stacks(struct reading *r)
{
	uint32_t n = get_count(r, 2);

	if (!ok(r) || !number(r, &r->stacks, n))
		return;
	for (uint32_t i = 0; i < n && ok(r); i++) {
		uint32_t n_frames = get_count(r, 1);

		if (n_frames == 0)
			refuse(r);
		r->stack.n = 0;
		if (!vec_reserve(&r->stack, n_frames))
			r->no_memory = true;
		while (r->stack.n < n_frames && ok(r))
			r->stack.items[r->stack.n++] = get_number(r, &r->frames);
		if (ok(r))
			next_number(r, &r->stacks, tables_stack(r->t, r->stack.items, n_frames,
								tables_stack_hash(r->stack.items, n_frames)));
	}
}

static void read_entry(struct reading *r)
{
	uint32_t guest = get_below(r, r->guests.n + 1ull), kind, stack;
	struct profile_entry e = { .stack = PROFILE_NO_STACK };

	e.vcpu = (uint32_t)(get_below(r, 1ull << 32) - 1u); /* 0 becomes VPMU_NO_VCPU */
	e.process = get_number(r, &r->strings);
	kind = get_below(r, 8 * PROFILE_BYTES_EVENTS_MAX);
	stack = get_below(r, r->stacks.n + 1ull);
	if (!stack)
		e.leaf = get_number(r, &r->frames);
	e.samples = get(r);
	e.weight = get(r);
	if (kind % 8 >= VPMU_SIDE_COUNT || __builtin_add_overflow(r->samples, e.samples, &r->samples) ||
	    r->samples > INT64_MAX || __builtin_add_overflow(r->weight, e.weight, &r->weight))
		refuse(r);
	if (!ok(r))
		return;
	e.guest = guest ? r->guests.of[guest - 1] : VPMU_NO_GUEST;
	e.side = kind % 8;
	e.event = kind / 8;
	if (stack) {
		e.stack = r->stacks.of[stack - 1];
		e.leaf = r->t->stack_frames.items[r->t->stacks.items[e.stack].first];
	}
	if (profile_put(r->profile, &e) < 0)
		r->no_memory = true;
}

/* @bytes outlives the reading. */
static int read_body(struct reading *r, struct vpmu_error *reterr)
{
	uint64_t flags = get(r);
	uint32_t n;

	r->profile->opts.chains = flags & PROFILE_BYTES_CHAINS;
	read_coverage(r);
	read_strings(r);
	read_events(r);
	read_guests(r);
	read_frames(r);
	read_stacks(r);
	n = get_count(r, 7);
	for (uint32_t i = 0; i < n && ok(r); i++)
		read_entry(r);
	if (r->no_memory)
		return error_oom(reterr);
	return r->c.failed ? error_set(reterr, -EBADMSG, "the profile is damaged") : 0;
}

static int unpack(const void *bytes, size_t n, uint64_t max_bytes, void **ret_body, size_t *ret_n,
		  struct vpmu_error *reterr)
{
	const uint8_t *header = bytes;
	int r;

	if (n < PROFILE_BYTES_HEADER || memcmp(header, PROFILE_BYTES_MAGIC, 8) != 0)
		return error_set(reterr, -EBADMSG, "this is no profile of vpmu's");
	if (header[8] != PROFILE_BYTES_VERSION)
		return error_set(reterr, -EBADMSG, "the profile is of format %u; this version reads %u", header[8],
				 PROFILE_BYTES_VERSION);
	r = packed_read(header + PROFILE_BYTES_HEADER, n - PROFILE_BYTES_HEADER, max_bytes, ret_body, ret_n);
	if (r == -ENOMEM)
		return error_oom(reterr);
	if (r == -EFBIG)
		return error_set(reterr, r, "the profile has more than %llu bytes", (unsigned long long)max_bytes);
	return r < 0 ? error_set(reterr, r, "the profile is damaged") : 0;
}

VPMU_API int vpmu_profile_read(const void *bytes, size_t n, const struct vpmu_profile_read_opts *opts,
			       struct vpmu_profile **ret_profile, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *profile = NULL;
	struct vpmu_profile_read_opts o;
	_free_ void *body = NULL;
	size_t n_body;
	int r;

	if (!opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "options of a newer library version");
	opts_take(&o, opts);
	r = unpack(bytes, n, o.max_bytes ? o.max_bytes : PROFILE_BYTES_MAX, &body, &n_body, reterr);
	if (r < 0)
		return r;
	r = vpmu_profile_new(NULL, &profile, reterr);
	if (r < 0)
		return r;
	__attribute__((cleanup(reading_deinit))) struct reading reading = {
		.profile = profile,
		.t = &profile->tables,
		.c = cursor_of(body, n_body),
	};
	r = read_body(&reading, reterr);
	if (r < 0)
		return r;
	tables_trim(&profile->tables);
	profile->resolved = true;
	*ret_profile = take_ptr(profile);
	return 0;
}

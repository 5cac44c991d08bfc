/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two profiles, symbol by symbol.
 *
 * What is compared is a symbol's share of the samples selected on its side, so profiles of
 * different lengths can be compared. The work goes by distinct frames, never by samples: counts are
 * added up per frame first, then frames are sorted by what makes two of them "the same symbol", and
 * equal neighbours become one row.
 *
 * Names pair across sides: the guest's `schedule` and the host's. A place without a name is paired
 * by file and offset, or all unnamed places at offset 0x3f10 of different files would be taken for
 * one. Inside a guest there is not even a file: an address of one guest's memory means nothing in
 * another's, so it is paired within one guest alone (guest_numbers.h says which).
 */
#include <errno.h>

#include "profile/guest_numbers.h"
#include "profile/interval.h"
#include "profile/profile.h"
#include "profile/select.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/vec.h"

enum half { BASE, OTHER, N_HALVES };

struct vpmu_diff {
	struct intern *strings; /* of its own: the profiles may go */
	VEC(struct vpmu_diff_row) rows;
	uint64_t samples[N_HALVES];
};

/* What is compared. */
struct halves {
	struct profile_view views[N_HALVES];
	uint32_t *guests[N_HALVES]; /* numbers */
};

static void halves_deinit(struct halves *halves)
{
	for (enum half h = BASE; h < N_HALVES; h++)
		free(halves->guests[h]);
}

/* A frame of one of the profiles with what it got there. Strings are numbers of the diff. */
struct tally {
	uint32_t symbol, dso;
	bool by_dso;	/* dso is part of the identity */
	uint32_t owner; /* so is this, unless 0: the guest's number, plus one */
	enum half half;
	uint64_t samples;
};

typedef VEC(struct tally) tallies;

VPMU_API struct vpmu_diff *vpmu_diff_free(struct vpmu_diff *diff)
{
	if (!diff)
		return NULL;
	intern_free(diff->strings);
	vec_free(&diff->rows);
	free(diff);
	return NULL;
}
DEFINE_CLEANUP(struct vpmu_diff *, vpmu_diff_free)

/* What is opaque has no address that could be mistaken for another guest's. */
static bool belongs_to_guest(const struct profile_frame *frame)
{
	return frame->status != VPMU_FRAME_OK && frame->status != VPMU_FRAME_OPAQUE && frame->status != VPMU_FRAME_NESTED &&
	       (VPMU_SIDES_GUEST & 1u << frame->side);
}

static int push_tally(struct vpmu_diff *diff, const struct profile_view *view,
		      const struct profile_frame *frame, struct tally t, tallies *out)
{
	t.symbol = intern_add(diff->strings, intern_string(view->strings, frame->symbol));
	t.dso = intern_add(diff->strings, intern_string(view->strings, frame->dso));
	t.by_dso |= frame->status != VPMU_FRAME_OK;
	if (t.symbol == INTERN_FAILED || t.dso == INTERN_FAILED || !vec_push(out, t))
		return -ENOMEM;
	return 0;
}

/*
 * One tally for each frame of @profile that was hit in the selection; several of a frame that
 * guests share without meaning the same place.
 */
static int tally_half(struct vpmu_diff *diff, const struct halves *halves,
		      const struct selection *selection, enum half half, bool by_dso, tallies *out)
{
	const struct profile_view *view = &halves->views[half];
	_free_ uint64_t *samples = calloc(view->n_frames + 1, sizeof(*samples));
	struct tally t = { .half = half, .by_dso = by_dso };
	int r = 0;

	if (!samples)
		return -ENOMEM;
	for (size_t i = 0; i < view->n_entries && r == 0; i++) {
		const struct profile_entry *e = &view->entries[i];
		const struct profile_frame *frame = &view->frames[e->leaf];

		if (!selection_has(selection, e))
			continue;
		diff->samples[half] += e->samples;
		t.samples = e->samples;
		t.owner = e->guest < view->n_guests ? halves->guests[half][e->guest] + 1 : UINT32_MAX;
		if (belongs_to_guest(frame))
			r = push_tally(diff, view, frame, t, out);
		else
			samples[e->leaf] += e->samples;
	}
	t.owner = 0;
	for (size_t i = 0; i < view->n_frames && r == 0; i++) {
		t.samples = samples[i];
		if (samples[i])
			r = push_tally(diff, view, &view->frames[i], t, out);
	}
	return r;
}

static int compare_u32(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int compare_identity(const struct tally *a, const struct tally *b)
{
	int c = compare_u32(a->symbol, b->symbol);

	if (!c)
		c = compare_u32(a->by_dso, b->by_dso);
	if (!c && a->by_dso)
		c = compare_u32(a->dso, b->dso);
	return c ? c : compare_u32(a->owner, b->owner);
}

static int compare_tallies(const void *a, const void *b)
{
	return compare_identity(a, b);
}

static struct vpmu_diff_row make_row(const struct vpmu_diff *diff, const struct tally *first,
				     const struct tally *end)
{
	uint64_t x[N_HALVES] = {};
	struct vpmu_diff_row row = { .symbol = intern_string(diff->strings, first->symbol) };
	double share[N_HALVES], heaviest = -1;
	struct interval d;

	for (const struct tally *t = first; t < end; t++) {
		double of_half = (double)t->samples / (double)diff->samples[t->half];
		const char *dso = intern_string(diff->strings, t->dso);

		x[t->half] += t->samples;
		/* Equal weights: by name, so that the answer does not hang on the order of the input. */
		if (of_half > heaviest || (of_half == heaviest && strcmp(dso, row.dso) < 0)) {
			heaviest = of_half;
			row.dso = dso;
		}
	}
	for (enum half h = BASE; h < N_HALVES; h++)
		share[h] = (double)x[h] / (double)diff->samples[h];
	d = interval_difference(x[BASE], diff->samples[BASE], x[OTHER], diff->samples[OTHER],
				INTERVAL_Z_95);
	row.base_samples = x[BASE];
	row.other_samples = x[OTHER];
	row.base_percent = 100 * share[BASE];
	row.other_percent = 100 * share[OTHER];
	row.delta = 100 * (share[OTHER] - share[BASE]);
	row.low = 100 * d.low;
	row.high = 100 * d.high;
	row.significant = d.low > 0 || d.high < 0;
	return row;
}

/* The absolute change of share, times both totals: exact, so that a rise and a fall by the same amount are equal. */
static unsigned __int128 change_of(const struct vpmu_diff *diff, const struct vpmu_diff_row *row)
{
	unsigned __int128 base = (unsigned __int128)row->base_samples * diff->samples[OTHER];
	unsigned __int128 other = (unsigned __int128)row->other_samples * diff->samples[BASE];

	return base > other ? base - other : other - base;
}

/* Largest change first, whichever its direction; then the heavier; then by name: a total order. */
static int compare_rows(const void *pa, const void *pb, void *diff)
{
	const struct vpmu_diff_row *a = pa, *b = pb;
	unsigned __int128 change_a = change_of(diff, a), change_b = change_of(diff, b);
	double weight_a = a->base_percent + a->other_percent;
	double weight_b = b->base_percent + b->other_percent;
	int c;

	if (change_a != change_b)
		return change_a > change_b ? -1 : 1;
	if (weight_a != weight_b)
		return weight_a > weight_b ? -1 : 1;
	c = strcmp(a->symbol, b->symbol);
	return c ? c : strcmp(a->dso, b->dso);
}

static int make_rows(struct vpmu_diff *diff, const tallies *t, const struct vpmu_diff_opts *opts)
{
	for (size_t first = 0, end; first < t->n; first = end) {
		struct vpmu_diff_row row;

		for (end = first + 1; end < t->n; end++)
			if (compare_identity(&t->items[first], &t->items[end]) != 0)
				break;
		row = make_row(diff, t->items + first, t->items + end);
		if (row.base_percent < opts->min_percent && row.other_percent < opts->min_percent)
			continue;
		if (!vec_push(&diff->rows, row))
			return -ENOMEM;
	}
	if (diff->rows.n)
		qsort_r(diff->rows.items, diff->rows.n, sizeof(*diff->rows.items), compare_rows, diff);
	if (opts->limit && diff->rows.n > opts->limit)
		diff->rows.n = opts->limit;
	return 0;
}

static const char *const half_names[N_HALVES] = { "base", "other profile" };

static int no_samples(const char *which, unsigned int sides, bool some_guests,
		      struct vpmu_error *reterr)
{
	char described[128];

	selection_describe_sides(sides, described, sizeof(described));
	error_set(reterr, -ENODATA, "nothing to compare: no %ssamples in the %s%s", described, which,
		  some_guests ? " of the guests asked for" : "");
	error_hint(reterr, "the coverage line of a report tells what was sampled");
	return -ENODATA;
}

static int tally_profile(struct vpmu_diff *diff, const struct halves *halves, enum half half,
			 const struct vpmu_diff_opts *opts, tallies *out, struct vpmu_error *reterr)
{
	unsigned int sides = half == BASE ? opts->base_sides : opts->other_sides;
	const char *const *guests = half == BASE ? opts->base_guests : opts->other_guests;
	size_t n_guests = half == BASE ? opts->n_base_guests : opts->n_other_guests;
	uint32_t event = half == BASE ? opts->base_event : opts->other_event;
	_selection_ struct selection selection = {};
	int r;

	r = selection_init(&selection, &halves->views[half], event, sides, guests, n_guests, reterr);
	if (r < 0)
		return r;
	r = tally_half(diff, halves, &selection, half, opts->by_dso, out);
	if (r < 0)
		return error_oom(reterr);
	if (!diff->samples[half])
		return no_samples(half_names[half], sides, guests, reterr);
	return 0;
}

static int halves_init(struct halves *halves, const struct vpmu_profile *base, const struct vpmu_profile *other,
		       struct vpmu_error *reterr)
{
	for (enum half h = BASE; h < N_HALVES; h++)
		if (profile_view(h == BASE ? base : other, &halves->views[h]) < 0)
			return error_set(reterr, -EINVAL, "cannot compare: the %s is not resolved yet", half_names[h]);
	return guest_numbers(halves->views, halves->guests) < 0 ? error_oom(reterr) : 0;
}

VPMU_API int vpmu_diff_new(const struct vpmu_profile *base, const struct vpmu_profile *other,
			   const struct vpmu_diff_opts *opts, struct vpmu_diff **ret_diff,
			   struct vpmu_error *reterr)
{
	_cleanup_(vpmu_diff_freep) struct vpmu_diff *diff = NULL;
	_free_ struct tally *owned = NULL;
	__attribute__((cleanup(halves_deinit))) struct halves halves = {};
	tallies t = {};
	struct vpmu_diff_opts o;
	int r;

	if (!opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "vpmu_diff_opts: a member that this library does not know");
	opts_take(&o, opts);
	diff = calloc(1, sizeof(*diff));
	if (!diff || !(diff->strings = intern_new()))
		return error_oom(reterr);
	r = halves_init(&halves, base, other, reterr);
	if (r == 0)
		r = tally_profile(diff, &halves, BASE, &o, &t, reterr);
	if (r == 0)
		r = tally_profile(diff, &halves, OTHER, &o, &t, reterr);
	owned = t.items;
	if (r < 0)
		return r;
	qsort(t.items, t.n, sizeof(*t.items), compare_tallies);
	if (make_rows(diff, &t, &o) < 0)
		return error_oom(reterr);
	*ret_diff = take_ptr(diff);
	return 0;
}

VPMU_API const struct vpmu_diff_row *vpmu_diff_row(const struct vpmu_diff *diff, size_t i)
{
	return i < diff->rows.n ? &diff->rows.items[i] : NULL;
}

VPMU_API uint64_t vpmu_diff_samples(const struct vpmu_diff *diff, bool of_base)
{
	return diff->samples[of_base ? BASE : OTHER];
}

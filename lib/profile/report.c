/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>

#include "profile/report.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"

#define DEFAULT_SORT "side,dso,symbol"

static int key_of(const char *word, size_t n)
{
	static const struct {
		const char *name;
		enum vpmu_key key;
	} perf_names[] = {
		{ "sym", VPMU_KEY_SYMBOL },
		{ "comm", VPMU_KEY_PROCESS },
		{ "srcline", VPMU_KEY_LINE },
	};

	for (int key = 0; key < VPMU_KEY_COUNT; key++) {
		const char *name = vpmu_key_name((enum vpmu_key)key);

		if (strlen(name) == n && memcmp(name, word, n) == 0)
			return key;
	}
	for (size_t i = 0; i < ARRAY_SIZE(perf_names); i++)
		if (strlen(perf_names[i].name) == n && memcmp(perf_names[i].name, word, n) == 0)
			return (int)perf_names[i].key;
	return -1;
}

static int parse_keys(const char *sort, unsigned int *ret_keys, struct vpmu_error *reterr)
{
	unsigned int keys = 0;

	for (;;) {
		size_t n = strcspn(sort, ",");
		int key = key_of(sort, n);

		if (key < 0)
			return error_set(reterr, -EINVAL,
					 "unknown sort key '%.*s'; known are guest, vcpu, side, "
					 "process (comm), dso, symbol (sym), line (srcline)",
					 (int)MIN(n, (size_t)64), sort);
		keys |= 1u << key;
		if (!sort[n])
			break;
		sort += n + 1;
	}
	*ret_keys = keys;
	return 0;
}

static const char *word(struct vpmu_report *report, const char *text)
{
	uint32_t id = intern_add(report->words, text);

	return id == INTERN_FAILED ? NULL : intern_string(report->words, id);
}

static const char *vcpu_word(struct vpmu_report *report, uint32_t vcpu)
{
	char text[16];

	if (vcpu == VPMU_NO_VCPU)
		return "";
	snprintf(text, sizeof(text), "%u", vcpu);
	return word(report, text);
}

/* "file:line"; "??:0", as addr2line has it, where none is known. */
static const char *line_word(struct vpmu_report *report, const struct profile_frame *frame)
{
	char text[4200];

	if (!frame->src_file)
		return "??:0";
	snprintf(text, sizeof(text), "%s:%u", intern_string(report->view.strings, frame->src_file),
		 frame->src_line);
	return word(report, text);
}

/* Puts a group into words. */
static int row_fill(struct vpmu_report *report, const struct group_row *group, struct vpmu_row *row)
{
	const struct profile_view *view = &report->view;
	const struct entry_group *eg = &report->grouping.entry_groups.items[group->entry_group];
	const struct profile_frame *frame =
		&view->frames[report->grouping.examples[group->frame_group]];
	double whole = (double)report->halves[eg->is_guest].weight;
	const char *keys[VPMU_KEY_COUNT] = {
		[VPMU_KEY_GUEST] = eg->guest >= view->n_guests ? "" :
			intern_string(view->strings, view->guests[eg->guest].name),
		[VPMU_KEY_SIDE] = vpmu_side_name(frame->side),
		[VPMU_KEY_PROCESS] = intern_string(view->strings, eg->process),
		[VPMU_KEY_DSO] = intern_string(view->strings, frame->dso),
		[VPMU_KEY_SYMBOL] = intern_string(view->strings, frame->symbol),
	};

	if (report->keys & KEY_BIT(VCPU))
		keys[VPMU_KEY_VCPU] = vcpu_word(report, eg->vcpu);
	if (report->keys & KEY_BIT(LINE))
		keys[VPMU_KEY_LINE] = line_word(report, frame);
	*row = (struct vpmu_row){
		.is_guest = eg->is_guest,
		.samples = group->samples,
		.weight = group->weight,
		.self_samples = group->self_samples,
		.self_weight = group->self_weight,
	};
	if (report->keys & KEY_BIT(SYMBOL))
		row->status = (enum vpmu_frame_status)frame->status;
	if (whole > 0) {
		row->percent = 100 * (double)group->weight / whole;
		row->self_percent = 100 * (double)group->self_weight / whole;
	}
	for (int key = 0; key < VPMU_KEY_COUNT; key++) {
		if (!(report->keys & 1u << key))
			continue;
		if (!keys[key])
			return -ENOMEM;
		row->keys[key] = keys[key];
	}
	return 0;
}

/*
 * Rows are put in order before they are put into words: most are as light as the next one, so
 * names decide, and most are never looked at. The first letters of the most telling key are kept
 * beside the numbers; what they cannot decide, names_compare() does.
 */
struct sort_key {
	uint64_t weight, self_weight, letters;
	uint32_t group;
	bool is_guest;
};

static const struct profile_frame *example_of(const struct vpmu_report *report, uint32_t group)
{
	uint32_t frame_group = report->groups.items[group].frame_group;

	return &report->view.frames[report->grouping.examples[frame_group]];
}

static const struct entry_group *entry_group_of(const struct vpmu_report *report, uint32_t group)
{
	return &report->grouping.entry_groups.items[report->groups.items[group].entry_group];
}

static uint64_t first_letters(const struct vpmu_report *report, uint32_t group)
{
	const struct profile_frame *frame = example_of(report, group);
	const char *name;
	uint64_t letters = 0;

	if (report->keys & KEY_BIT(SYMBOL))
		name = intern_string(report->view.strings, frame->symbol);
	else if (report->keys & KEY_BIT(DSO))
		name = intern_string(report->view.strings, frame->dso);
	else
		return 0;
	for (int i = 0; i < 8; i++) {
		letters = letters << 8 | (unsigned char)*name;
		name += *name != '\0';
	}
	return letters;
}

static int ids_compare(const struct vpmu_report *report, uint32_t a, uint32_t b)
{
	const struct intern *strings = report->view.strings;

	return a == b ? 0 : strcmp(intern_string(strings, a), intern_string(strings, b));
}

static uint32_t guest_name(const struct vpmu_report *report, uint32_t guest)
{
	return guest < report->view.n_guests ? report->view.guests[guest].name : 0;
}

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* What is no key is equal in both entry groups; of frames it has no say. */
static int names_compare(const struct vpmu_report *report, uint32_t a, uint32_t b)
{
	const struct entry_group *ea = entry_group_of(report, a), *eb = entry_group_of(report, b);
	const struct profile_frame *fa = example_of(report, a), *fb = example_of(report, b);
	int order = 0;

	if (report->keys & KEY_BIT(SYMBOL))
		order = ids_compare(report, fa->symbol, fb->symbol);
	if (!order && report->keys & (KEY_BIT(DSO) | KEY_BIT(SYMBOL)))
		order = ids_compare(report, fa->dso, fb->dso);
	if (!order && report->keys & KEY_BIT(SIDE))
		order = ORDER(fa->side, fb->side);
	if (!order)
		order = ids_compare(report, ea->process, eb->process);
	if (!order)
		order = ids_compare(report, guest_name(report, ea->guest),
				    guest_name(report, eb->guest));
	if (!order)
		order = ORDER(ea->vcpu, eb->vcpu);
	if (!order && report->keys & KEY_BIT(LINE))
		order = ids_compare(report, fa->src_file, fb->src_file) ?:
				ORDER(fa->src_line, fb->src_line);
	return order ?: ORDER(a, b);
}

static int by_weight(const void *pa, const void *pb, void *report)
{
	const struct sort_key *a = pa, *b = pb;

	if (a->is_guest != b->is_guest)
		return a->is_guest ? -1 : 1;
	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	if (a->self_weight != b->self_weight)
		return a->self_weight > b->self_weight ? -1 : 1;
	if (a->letters != b->letters)
		return a->letters < b->letters ? -1 : 1;
	return names_compare(report, a->group, b->group);
}

/*
 * How many of the half that begins at @sorted are shown: limit and min_percent, which the order
 * makes prefixes.
 */
static size_t shown_of(const struct vpmu_report *report, const struct sort_key *sorted, size_t n)
{
	double whole = (double)report->halves[sorted->is_guest].weight;
	double least = report->opts.min_percent / 100 * whole;
	size_t shown = 0;

	while (shown < n && sorted[shown].is_guest == sorted->is_guest &&
	       (!report->opts.limit || shown < report->opts.limit) &&
	       (double)sorted[shown].weight >= least)
		shown++;
	return shown;
}

static int take_rows(struct vpmu_report *report, const struct sort_key *sorted, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct group_row *group = &report->groups.items[sorted[i].group];

		report->row_groups[report->n_rows] = sorted[i].group;
		if (row_fill(report, group, &report->rows[report->n_rows]) < 0)
			return -ENOMEM;
		report->n_rows++;
	}
	return 0;
}

static int make_rows(struct vpmu_report *report)
{
	size_t n = report->groups.n, n_guest = 0, shown_guest, shown_host;
	_free_ struct sort_key *sorted = malloc((n + 1) * sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		sorted[i] = (struct sort_key){
			.weight = report->groups.items[i].weight,
			.self_weight = report->groups.items[i].self_weight,
			.letters = first_letters(report, i),
			.group = i,
			.is_guest = entry_group_of(report, i)->is_guest,
		};
		n_guest += sorted[i].is_guest;
	}
	qsort_r(sorted, n, sizeof(*sorted), by_weight, report);
	shown_guest = n_guest ? shown_of(report, sorted, n_guest) : 0;
	shown_host = n > n_guest ? shown_of(report, sorted + n_guest, n - n_guest) : 0;
	report->rows = malloc((shown_guest + shown_host + 1) * sizeof(*report->rows));
	report->row_groups = malloc((shown_guest + shown_host + 1) * sizeof(*report->row_groups));
	if (!report->rows || !report->row_groups || take_rows(report, sorted, shown_guest) < 0)
		return -ENOMEM;
	return take_rows(report, sorted + n_guest, shown_host);
}

VPMU_API struct vpmu_report *vpmu_report_free(struct vpmu_report *report)
{
	if (!report)
		return NULL;
	report_chains_free(report->chains);
	selection_deinit(&report->selection);
	grouping_deinit(&report->grouping);
	vec_free(&report->groups);
	free(report->rows);
	free(report->row_groups);
	intern_free(report->words);
	free(report);
	return NULL;
}
DEFINE_CLEANUP(struct vpmu_report *, vpmu_report_free)

/* The profile's, but for what report_group() counts. */
static void start_coverage(struct vpmu_report *report, const struct vpmu_profile *profile)
{
	struct vpmu_coverage *c = &report->coverage;

	vpmu_profile_coverage(profile, c);
	c->samples = c->resolved = c->opaque = 0;
	memset(c->sides, 0, sizeof(c->sides));
}

VPMU_API int vpmu_report_new(const struct vpmu_profile *profile,
			     const struct vpmu_report_opts *opts, struct vpmu_report **ret_report,
			     struct vpmu_error *reterr)
{
	_cleanup_(vpmu_report_freep) struct vpmu_report *report = NULL;
	int r;

	if (!opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "report options of a newer library version");
	report = calloc(1, sizeof(*report));
	if (!report)
		return error_oom(reterr);
	opts_take(&report->opts, opts);
	report->opts.children |= report->opts.callees;
	r = parse_keys(report->opts.sort ?: DEFAULT_SORT, &report->keys, reterr);
	if (r < 0)
		return r;
	if (profile_view(profile, &report->view) < 0)
		return error_set(reterr, -EINVAL,
				 "cannot report on a profile that is not resolved");
	r = selection_init(&report->selection, &report->view, report->opts.event,
			   report->opts.sides, report->opts.guests, report->opts.n_guests, reterr);
	if (r < 0)
		return r;
	start_coverage(report, profile);
	report->words = intern_new();
	if (!report->words || report_group(report) < 0 || make_rows(report) < 0)
		return error_oom(reterr);
	if (report->opts.chains && report_chains_new(report, &report->chains) < 0)
		return error_oom(reterr);
	*ret_report = take_ptr(report);
	return 0;
}

VPMU_API const struct vpmu_row *vpmu_report_row(const struct vpmu_report *report, size_t i)
{
	return i < report->n_rows ? &report->rows[i] : NULL;
}

VPMU_API uint64_t vpmu_report_samples(const struct vpmu_report *report, bool of_guest)
{
	return report->halves[of_guest].samples;
}

VPMU_API uint64_t vpmu_report_weight(const struct vpmu_report *report, bool of_guest)
{
	return report->halves[of_guest].weight;
}

VPMU_API void vpmu_report_coverage(const struct vpmu_report *report,
				   struct vpmu_coverage *ret_coverage)
{
	*ret_coverage = report->coverage;
}

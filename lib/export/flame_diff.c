/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two profiles in one flame graph. A bar is what one path of calls had in either of them; it is as wide as its share of the
 * second, and its colour tells how that differs from its share of the first: what changed more than chance would have it
 * (profile/interval.h, as in vpmu_diff_row) and in which direction.
 */
#include <errno.h>
#include <vpmu/session.h>

#include "export/flame_profile.h"
#include "export/writer.h"
#include "util/cleanup.h"
#include "util/error.h"

enum half { BASE, OTHER, N_HALVES };

struct comparison {
	const struct vpmu_profile *profiles[N_HALVES];
	struct profile_view views[N_HALVES];
	struct selection selections[N_HALVES];
};

static void comparison_deinit(struct comparison *c)
{
	for (enum half h = BASE; h < N_HALVES; h++)
		selection_deinit(&c->selections[h]);
}

static int select_halves(struct comparison *c, const struct vpmu_diff_opts *o, struct vpmu_error *reterr)
{
	int r = 0;

	for (enum half h = BASE; r == 0 && h < N_HALVES; h++) {
		if (profile_view(c->profiles[h], &c->views[h]) < 0)
			return error_set(reterr, -EINVAL, "cannot compare: a profile is not resolved yet");
		r = selection_init(&c->selections[h], &c->views[h], h ? o->other_event : o->base_event,
				   h ? o->other_sides : o->base_sides, h ? o->other_guests : o->base_guests,
				   h ? o->n_other_guests : o->n_base_guests, reterr);
	}
	return r;
}

/* Puts what tells one half's guests apart into @names; *ret: one of them was there before. */
static int put_guests(const struct comparison *c, enum half h, struct intern *names, bool *ret)
{
	_free_ bool *seen = flame_guests_seen(&c->views[h], &c->selections[h]);
	uint32_t before = intern_count(names);
	_strbuf_ struct strbuf key = {};

	if (!seen)
		return -ENOMEM;
	*ret = false;
	for (uint32_t i = 0; i < c->views[h].n_guests; i++) {
		uint32_t id;

		if (!seen[i])
			continue;
		strbuf_clear(&key);
		flame_guest_key(&c->views[h], i, &key);
		id = key.failed ? INTERN_FAILED : intern_add(names, key.text);
		if (id == INTERN_FAILED)
			return -ENOMEM;
		*ret |= id && id < before; /* 0 is there in any case */
	}
	return 0;
}

/* Guests are a level of their own if there is one that can be compared with itself: else web1 would never meet web2. */
static int find_shared_guest(const struct comparison *c, bool *ret)
{
	_cleanup_(intern_freep) struct intern *names = intern_new();
	int r = names ? put_guests(c, BASE, names, ret) : -ENOMEM;

	return r < 0 ? r : put_guests(c, OTHER, names, ret);
}

static int find_levels(const struct comparison *c, unsigned int *ret_levels)
{
	struct vpmu_coverage coverage[N_HALVES];
	bool shared = false;
	int r = find_shared_guest(c, &shared);

	for (enum half h = BASE; h < N_HALVES; h++)
		vpmu_profile_coverage(c->profiles[h], &coverage[h]);
	*ret_levels = (shared ? FLAME_BY_GUEST : 0) |
		      (!coverage[BASE].guest_processes == !coverage[OTHER].guest_processes ? FLAME_BY_PROCESS : 0);
	return r;
}

static int grow(const struct comparison *c, struct flame *flame)
{
	unsigned int levels;
	int r = find_levels(c, &levels);

	for (enum half h = BASE; r == 0 && h < N_HALVES; h++)
		r = flame_add_profile(flame, c->profiles[h], &c->selections[h], levels, (int)h);
	return r < 0 ? r : flame_grow(flame, flame_label(flame, "all"), FLAME_NODES_MAX);
}

static int no_samples(bool of_base, struct vpmu_error *reterr)
{
	error_set(reterr, -ENODATA, "nothing to compare: no samples in the %s", of_base ? "base" : "other profile");
	error_hint(reterr, "the coverage line of a report tells what was sampled");
	return -ENODATA;
}

/* What the page says around the graph. */
struct words {
	struct strbuf title, source, notes[N_HALVES];
};

static void words_deinit(struct words *words)
{
	strbuf_deinit(&words->title);
	strbuf_deinit(&words->source);
	for (enum half h = BASE; h < N_HALVES; h++)
		strbuf_deinit(&words->notes[h]);
}

static void find_words(const struct comparison *c, const char *const names[N_HALVES], struct words *words)
{
	_strbuf_ struct strbuf guests = {};

	flame_describe_guests(&c->views[BASE], &c->selections[BASE], &words->title);
	flame_describe_guests(&c->views[OTHER], &c->selections[OTHER], &guests);
	if (guests.text && words->title.text && !streq(guests.text, words->title.text))
		strbuf_addf(&words->title, " \xe2\x86\x92 %s", guests.text);
	strbuf_addf(&words->source, "%s \xe2\x86\x92 %s", names[BASE], names[OTHER]);
	for (enum half h = BASE; h < N_HALVES; h++) {
		struct vpmu_coverage coverage;
		char line[1024];

		vpmu_profile_coverage(c->profiles[h], &coverage);
		vpmu_coverage_text(&coverage, line, sizeof(line));
		if (c->profiles[BASE] == c->profiles[OTHER]) /* sides or guests of it: the line is of neither alone */
			strbuf_addf(&words->notes[h], "both of one recording, %s", line);
		else
			strbuf_addf(&words->notes[h], "%s: %s", names[h], line);
	}
}

static int write_page(const struct comparison *c, const struct flame *flame, const struct vpmu_flamegraph_opts *opts,
		      struct output *out)
{
	const char *const names[N_HALVES] = { opts->base ?: "base", opts->other ?: "other" };
	__attribute__((cleanup(words_deinit))) struct words words = {};
	bool is_one = c->profiles[BASE] == c->profiles[OTHER];
	struct vpmu_event_info event = {};

	find_words(c, names, &words);
	if (!words.title.text || !words.source.text || !words.notes[BASE].text || !words.notes[OTHER].text)
		return -ENOMEM;
	(void)vpmu_profile_event(c->profiles[OTHER], c->selections[OTHER].event, &event);
	const char *chains = flame_chains_note(&c->views[OTHER], &c->selections[OTHER]);
	struct flame_page page = {
		.kind = "diff",
		.title = opts->title ?: words.title.text,
		.source = words.source.text,
		.event = event.name,
		.notes = { words.notes[BASE].text, is_one ? chains : words.notes[OTHER].text, is_one ? NULL : chains },
		.measures = { { names[BASE], "" }, { names[OTHER], "" } },
		.n_measures = N_HALVES,
		.measure = OTHER,
	};
	flame_write_page(flame, &page, out);
	return output_finish(out);
}

VPMU_API int vpmu_flamegraph_diff(const struct vpmu_profile *base, const struct vpmu_profile *other,
				  const struct vpmu_diff_opts *diff, const struct vpmu_flamegraph_opts *opts, int fd,
				  struct vpmu_error *reterr)
{
	__attribute__((cleanup(comparison_deinit))) struct comparison c = { .profiles = { base, other } };
	struct output out = { .fd = fd };
	struct vpmu_diff_opts selected;
	struct vpmu_flamegraph_opts o;
	_flame_ struct flame flame = {};
	int r;

	if (!opts_valid(diff, sizeof(*diff)) || !opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "options of vpmu_flamegraph_diff: a member that this library does not know");
	opts_take(&selected, diff);
	opts_take(&o, opts);
	r = select_halves(&c, &selected, reterr);
	if (r < 0)
		return r;
	if (flame_init(&flame) < 0)
		return error_oom(reterr);
	flame.compares = true;
	flame.by_file = selected.by_dso;
	if (grow(&c, &flame) < 0)
		return error_oom(reterr);
	for (enum half h = BASE; h < N_HALVES; h++)
		if (!flame.nodes.items[0].total[h])
			return no_samples(h == BASE, reterr);
	r = write_page(&c, &flame, &o, &out);
	output_deinit(&out);
	return r < 0 ? error_errno(reterr, r, "write", "the flame graph") : 0;
}

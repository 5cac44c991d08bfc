/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events are letters here, grants too:
 *
 *	s  sampling, default source (guest cycles)	  G  granted
 *	n  sampling, asked for by name, guest too	  M  multiplexed
 *	h  sampling, asked for by name, host only	  P  replaced
 *	c  counting, host only				  R  refused
 *	C  counting cycles, host only: fixed counter	  -  there is no request: all was refused
 *	g  counting, guest too
 *	w  software	t  tracepoint
 */
#include <errno.h>
#include <vpmu/host.h>

#include "daemon/arbiter.h"
#include "test.h"
#include "util/macro.h"

#define PER_STEP 8

static struct arbiter_event event_of(char letter)
{
	struct arbiter_event event = {
		.class = letter == 'w' ? EVENT_SOFTWARE : letter == 't' ? EVENT_TRACEPOINT : EVENT_HARDWARE,
		.fixed = letter == 'C' ? VPMU_FIXED_CYCLES : 0,
		.sampling = strchr("snhwt", letter) != NULL,
		.guest = strchr("snggwt", letter) != NULL,
		.replaceable = letter == 's',
	};

	return event;
}

static size_t events_of(const char *letters, struct arbiter_event *events)
{
	size_t n = 0;

	for (; letters[n]; n++)
		events[n] = event_of(letters[n]);
	return n;
}

static char letter_of(enum grant_status status)
{
	return "GMPR"[status];
}

/* What everybody holds, by request, as the arbiter told it. */
struct told {
	char grants[1100][ARBITER_EVENTS_MAX + 1];
	int changes;
};

static void changed(uint64_t request, size_t event, const struct grant *grant, void *data)
{
	struct told *told = data;

	CHECK_CMP(request, <, ARRAY_SIZE(told->grants));
	CHECK_CMP(told->grants[request][event], !=, letter_of(grant->status));
	CHECK_EQ(grant->status == GRANT_GRANTED, grant->why == NULL);
	told->grants[request][event] = letter_of(grant->status);
	told->changes++;
}

/* Returns the request's id, 0 if all was refused. */
static uint64_t ask(struct arbiter *arbiter, struct told *told, const char *letters, int priority, bool takes_back)
{
	struct arbiter_event events[ARBITER_EVENTS_MAX];
	struct grant grants[ARBITER_EVENTS_MAX];
	struct arbiter_request request = {
		.priority = priority, .takes_back = takes_back, .events = events,
	};
	uint64_t id = 0;
	int r;

	request.n_events = events_of(letters, events);
	r = arbiter_request(arbiter, &request, &id, grants);
	CHECK(r == 0 || r == -EBUSY);
	CHECK_EQ(r == 0, id != 0);
	for (size_t i = 0; i < request.n_events; i++) {
		CHECK_EQ(grants[i].status == GRANT_GRANTED, grants[i].why == NULL);
		if (r == 0)
			told->grants[id][i] = letter_of(grants[i].status);
		else
			CHECK_EQ(grants[i].status, GRANT_REFUSED);
	}
	return id;
}

/* ---- the table ---- */

struct step {
	const char *events; /* NULL = the owner goes */
	int priority;
	uint64_t owner;
	bool takes_back;
	const char *first; /* what it got */
	const char *last;  /* what it has when all steps are done; NULL = it is gone */
};

static const struct {
	const char *name;
	struct arbiter_node node;
	struct step steps[PER_STEP];
} cases[] = {
	{ "no PMU: the default source is replaced, names are refused", { 0 },
	  { { "ss", 0, 1, false, "PP", "PP" }, { "n", 0, 1, false, "-", NULL }, { "nw", 0, 1, false, "RG", "RG" },
	    { "w", 0, 1, false, "G", "G" }, { "t", 0, 1, false, "G", "G" }, { "cC", 0, 1, false, "-", NULL } } },
	{ "what fits is granted", { .n_counters = 4 },
	  { { "ss", 0, 1, false, "GG", "GG" }, { "cc", 0, 2, false, "GG", "GG" } } },
	{ "counting events share, sampling ones do not", { .n_counters = 2 },
	  { { "ccc", 0, 1, false, "GGM", "GGM" }, { "c", 0, 2, false, "M", "M" }, { "s", 0, 3, false, "P", "P" },
	    { "h", 0, 4, false, "-", NULL } } },
	{ "nothing is left to share where sampling has it all", { .n_counters = 2 },
	  { { "ss", 0, 1, false, "GG", "GG" }, { "c", 0, 2, false, "-", NULL }, { "cw", 0, 2, false, "RG", "RG" } } },
	{ "equals are served in order", { .n_counters = 1 },
	  { { "h", 7, 1, false, "G", "G" }, { "h", 7, 2, false, "-", NULL }, { "s", 7, 3, false, "P", "P" } } },
	{ "the more important takes", { .n_counters = 2 },
	  { { "s", -50, 1, false, "G", "P" }, { "c", 0, 2, false, "G", "R" }, { "hh", 10, 3, false, "GG", "GG" } } },
	{ "the default source is replaced as a whole", { .n_counters = 1 },
	  { { "ss", 0, 1, false, "PP", "PP" }, { "h", 0, 1, false, "G", "G" } } },
	{ "who is refused took nothing from anybody", { .n_counters = 2, .mediated = true },
	  { { "cc", 0, 1, false, "GG", "GG" }, { "nn", 100, 2, false, "-", NULL } } },
	{ "what was lost stays lost, unless it is taken back", { .n_counters = 1 },
	  { { "s", -50, 1, false, "G", "P" }, { "s", -60, 2, true, "P", "G" }, { "h", 0, 3, false, "G", NULL },
	    { NULL, 0, 3, false, NULL, NULL } } },
	{ "multiplexed events get counters that become free", { .n_counters = 2 },
	  { { "cc", 0, 1, false, "GG", NULL }, { "cc", 0, 2, false, "MM", "GG" }, { NULL, 0, 1, false, NULL, NULL } } },
	{ "a client's death frees all it had, and no more", { .n_counters = 3 },
	  { { "h", 0, 1, false, "G", NULL }, { "w", 0, 1, false, "G", NULL }, { "h", 0, 2, false, "G", "G" },
	    { "h", 0, 1, false, "G", NULL }, { NULL, 0, 1, false, NULL, NULL }, { "hh", 0, 3, false, "GG", "GG" } } },
	{ "mediated vPMU: nothing that includes guests, but hosts count", { .n_counters = 4, .mediated = true },
	  { { "ss", 0, 1, false, "PP", "PP" }, { "n", 0, 2, false, "-", NULL }, { "gh", 0, 3, false, "RG", "RG" },
	    { "cc", 0, 4, false, "GG", "GG" } } },
	{ "a fixed counter serves one, the next takes a general one", { .n_counters = 1, .fixed = VPMU_FIXED_CYCLES },
	  { { "C", 0, 1, false, "G", "G" }, { "C", 0, 2, false, "G", "G" }, { "C", 0, 3, false, "M", "M" } } },
	{ "a fixed counter that becomes free relieves a general one", { .n_counters = 1, .fixed = VPMU_FIXED_CYCLES },
	  { { "C", 0, 1, false, "G", NULL }, { "C", 0, 2, false, "G", "G" }, { NULL, 0, 1, false, NULL, NULL },
	    { "h", 0, 3, false, "G", "G" } } },
	{ "fixed counters alone are no use for others", { .fixed = VPMU_FIXED_INSTRUCTIONS | VPMU_FIXED_CYCLES },
	  { { "Cc", 0, 1, false, "GR", "GR" }, { "s", 0, 2, false, "P", "P" } } },
};

/* As when a client's connection ends: of steps 0 … @now - 1. */
static void release_all_of(struct arbiter *arbiter, const struct step *steps, size_t now, const uint64_t *ids)
{
	for (size_t i = 0; i < now; i++)
		if (ids[i] && steps[i].owner == steps[now].owner)
			arbiter_release(arbiter, ids[i]);
}

static void run_case(size_t at)
{
	const struct step *steps = cases[at].steps;
	struct arbiter_node node = cases[at].node;
	struct arbiter *arbiter;
	static struct told told;
	uint64_t ids[PER_STEP] = {};

	told = (struct told){};
	node.max_requests = PER_STEP;
	CHECK_EQ(arbiter_new(&node, changed, &told, &arbiter), 0);
	for (size_t i = 0; i < PER_STEP && (steps[i].events || steps[i].owner); i++) {
		if (!steps[i].events) {
			release_all_of(arbiter, steps, i, ids);
			continue;
		}
		ids[i] = ask(arbiter, &told, steps[i].events, steps[i].priority, steps[i].takes_back);
		if (strcmp(ids[i] ? told.grants[ids[i]] : "-", steps[i].first) != 0)
			FAIL("%s: request %zu: %s, not %s", cases[at].name, i, ids[i] ? told.grants[ids[i]] : "-",
			     steps[i].first);
	}
	for (size_t i = 0; i < PER_STEP; i++)
		if (steps[i].last && strcmp(told.grants[ids[i]], steps[i].last) != 0)
			FAIL("%s: at the end request %zu has %s, not %s", cases[at].name, i, told.grants[ids[i]],
			     steps[i].last);
	arbiter_free(arbiter);
}

TEST(counters_go_where_the_rules_say)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run_case(i);
}

TEST(a_thousand_requests_come_and_go)
{
	struct arbiter_node node = { .n_counters = 6, .max_requests = 1000 };
	struct arbiter_event event = event_of('w');
	struct arbiter_request one = { .n_events = 1, .events = &event };
	struct arbiter *arbiter;
	static struct told told;
	uint64_t ids[1000], id = 77;
	struct grant grant;
	int granted = 0;

	CHECK_EQ(arbiter_new(&node, changed, &told, &arbiter), 0);
	for (int i = 0; i < 1000; i++) {
		ids[i] = ask(arbiter, &told, "c", i % 21 - 10, true);
		CHECK_EQ(ids[i], i + 1);
	}
	CHECK_EQ(arbiter_request(arbiter, &one, &id, &grant), -ENOSPC);
	CHECK_EQ(id, 77);
	CHECK_EQ(arbiter_free_counters(arbiter), 0);
	/* The six oldest of the most important: i % 21 == 20. */
	for (int i = 0; i < 1000; i++) {
		bool first = i % 21 == 20 && i < 6 * 21;

		CHECK_EQ(told.grants[ids[i]][0], first ? 'G' : 'M');
		granted += first;
	}
	CHECK_EQ(granted, 6);
	for (int i = 0; i < 1000; i++)
		arbiter_release(arbiter, ids[i * 7 % 1000]);
	CHECK_EQ(arbiter_free_counters(arbiter), 6);
	arbiter_release(arbiter, ids[0]); /* twice is once */
	arbiter_free(arbiter);
}

TEST(requests_that_make_no_sense_are_refused)
{
	struct arbiter_node node = { .n_counters = 1, .max_requests = 10 };
	struct arbiter_event events[ARBITER_EVENTS_MAX + 1] = {};
	struct arbiter_request request = { .events = events };
	struct grant grants[ARBITER_EVENTS_MAX + 1];
	struct arbiter *arbiter;
	uint64_t id;

	CHECK_EQ(arbiter_new(&node, NULL, NULL, &arbiter), 0);
	CHECK_EQ(arbiter_request(arbiter, &request, &id, grants), -EINVAL);
	request.n_events = ARBITER_EVENTS_MAX + 1;
	CHECK_EQ(arbiter_request(arbiter, &request, &id, grants), -EINVAL);
	request.n_events = 1;
	request.priority = 101;
	CHECK_EQ(arbiter_request(arbiter, &request, &id, grants), -EINVAL);
	request.priority = ARBITER_PRIORITY_METRICS - 1;
	CHECK_EQ(arbiter_request(arbiter, &request, &id, grants), -EINVAL);
	request.priority = 100;
	CHECK_EQ(arbiter_request(arbiter, &request, &id, grants), 0);
	arbiter_free(arbiter);
}

/* ---- against brute force ---- */

/*
 * The same rules said in another way: of all sets of events that the counters can hold at once, take the one that is best for the first
 * in the line, among those the best for the second, and so on. All sets are tried.
 */
struct model_event {
	struct arbiter_event asked;
	char told; /* 0 = nothing yet */
};

struct model_request {
	uint64_t id, owner;
	int priority;
	bool takes_back;
	size_t n;
	struct model_event events[3];
};

struct model {
	struct arbiter_node node;
	struct model_request requests[6]; /* by age */
	size_t n;
};

#define MODEL_EVENTS 18

static size_t in_line(struct model *model, struct model_event **events, bool *locked)
{
	size_t n = 0;

	for (int priority = 2; priority >= -2; priority--)
		for (size_t i = 0; i < model->n; i++)
			for (size_t j = 0; model->requests[i].priority == priority && j < model->requests[i].n; j++) {
				struct model_event *event = &model->requests[i].events[j];

				locked[n] = !model->requests[i].takes_back &&
					    (event->told == 'R' || event->told == 'P');
				events[n++] = event;
			}
	return n;
}

/* Could event @i have a counter, were it alone? */
static bool can(const struct model *model, const struct model_event *event)
{
	return event->asked.class == EVENT_HARDWARE && !(model->node.mediated && event->asked.guest);
}

static bool fits(const struct model *model, struct model_event **events, size_t n, uint32_t set)
{
	uint32_t general = 0, cycles = 0;

	for (size_t i = 0; i < n; i++)
		if (set >> i & 1)
			*(events[i]->asked.fixed ? &cycles : &general) += 1;
	if (cycles && model->node.fixed)
		cycles--;
	return general + cycles <= model->node.n_counters;
}

/* A default source's events, which stand side by side, are replaced together. */
static bool all_or_none(struct model_event **events, size_t n, uint32_t set)
{
	for (size_t i = 1; i < n; i++)
		if (events[i]->asked.replaceable && events[i - 1] + 1 == events[i] && (set >> i & 1) != (set >> (i - 1) & 1))
			return false;
	return true;
}

/* The first in the line is the most significant. */
static uint32_t best_set(const struct model *model, struct model_event **events, size_t n, const bool *locked)
{
	uint32_t possible = 0, best = 0, best_rank = 0;

	for (size_t i = 0; i < n; i++)
		if (can(model, events[i]) && !locked[i])
			possible |= 1u << i;
	for (uint32_t set = possible;; set = (set - 1) & possible) {
		uint32_t rank = 0;

		for (size_t i = 0; i < n; i++)
			rank = rank << 1 | (set >> i & 1);
		if (rank > best_rank && fits(model, events, n, set) && all_or_none(events, n, set)) {
			best = set;
			best_rank = rank;
		}
		if (!set)
			return best;
	}
}

static void model_plan(struct model *model)
{
	struct model_event *events[MODEL_EVENTS];
	bool locked[MODEL_EVENTS], fixed_taken = false;
	size_t n = in_line(model, events, locked), sharers = 0;
	uint32_t set = best_set(model, events, n, locked);

	for (size_t i = 0; i < n; i++) {
		const struct arbiter_event *asked = &events[i]->asked;

		if (locked[i])
			continue;
		if (asked->class != EVENT_HARDWARE || set >> i & 1)
			events[i]->told = 'G';
		else if (can(model, events[i]) && !asked->sampling && sharers)
			events[i]->told = 'M';
		else
			events[i]->told = asked->sampling && asked->replaceable ? 'P' : 'R';
		if (set >> i & 1 && asked->fixed && model->node.fixed && !fixed_taken)
			fixed_taken = true;
		else if (set >> i & 1)
			sharers += !asked->sampling;
	}
}

static void model_drop(struct model *model, size_t i)
{
	memmove(&model->requests[i], &model->requests[i + 1], (model->n - i - 1) * sizeof(model->requests[0]));
	model->n--;
}

/* The newcomer is in, or (all refused) everything is as it was. */
static void model_ask(struct model *model, const char *letters, int priority, uint64_t owner, bool takes_back,
		      uint64_t id)
{
	struct model before = *model;
	struct model_request *request = &model->requests[model->n++];
	bool refused = true;

	*request = (struct model_request){ .id = id, .owner = owner, .priority = priority, .takes_back = takes_back };
	for (; letters[request->n]; request->n++)
		request->events[request->n].asked = event_of(letters[request->n]);
	model_plan(model);
	for (size_t i = 0; i < request->n; i++)
		refused &= request->events[i].told == 'R';
	CHECK_EQ(refused, id == 0);
	if (refused)
		*model = before;
}

static uint32_t seed;

static uint32_t roll(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void compare(const struct model *model, const struct told *told, uint32_t run, int step)
{
	for (size_t i = 0; i < model->n; i++)
		for (size_t j = 0; j < model->requests[i].n; j++)
			if (told->grants[model->requests[i].id][j] != model->requests[i].events[j].told)
				FAIL("run %u, step %d, request %" PRIu64 ", event %zu: %c, not %c", run, step,
				     model->requests[i].id, j, told->grants[model->requests[i].id][j],
				     model->requests[i].events[j].told);
}

static void model_step(struct model *model, struct arbiter *arbiter, struct told *told)
{
	uint64_t owner = 1 + roll(3);

	if (model->n < ARRAY_SIZE(model->requests) && roll(3)) {
		int priority = (int)roll(5) - 2;
		bool takes_back = roll(2);
		char letters[4] = "";

		/* Who wants the default source wants nothing else. */
		for (size_t i = 0, n = 1 + roll(3); i < n; i++)
			letters[i] = letters[0] == 's' ? 's' : "nhcCgwts"[roll(i ? 7 : 8)];
		model_ask(model, letters, priority, owner, takes_back,
			  ask(arbiter, told, letters, priority, takes_back));
	} else if (model->n && roll(4)) {
		size_t i = roll((uint32_t)model->n);

		arbiter_release(arbiter, model->requests[i].id);
		model_drop(model, i);
		model_plan(model);
	} else {
		for (size_t i = model->n; i-- > 0;) {
			if (model->requests[i].owner != owner)
				continue;
			arbiter_release(arbiter, model->requests[i].id);
			model_drop(model, i);
			model_plan(model);
		}
	}
}

TEST(the_arbiter_agrees_with_brute_force)
{
	static struct told told;

	for (uint32_t run = 1; run <= 300; run++) {
		struct model model = {};
		struct arbiter *arbiter;

		seed = run;
		model.node = (struct arbiter_node){ .n_counters = roll(5), .fixed = roll(2) ? VPMU_FIXED_CYCLES : 0,
						    .mediated = roll(4) == 0, .max_requests = 10 };
		told = (struct told){};
		CHECK_EQ(arbiter_new(&model.node, changed, &told, &arbiter), 0);
		for (int step = 0; step < 30; step++) {
			model_step(&model, arbiter, &told);
			compare(&model, &told, run, step);
		}
		arbiter_free(arbiter);
	}
}

int main(void)
{
	return test_main();
}

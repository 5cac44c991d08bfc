/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmu top in three parts. A source (top_local.c: a session of its own; top_remote.c: vpmud) makes a view of each interval and
 * shows it; in between it ticks, so that keys and signals are noticed. What a view looks like is top_draw.c's.
 *
 *	source			cmd_top.c			top_draw.c
 *	  samples, replies ->	top_show(view)		->	screen, text or JSON
 *	  waiting	   ->	top_tick()		->	keys: sort, side, interval
 *	  look.version changed: views are made anew
 */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include <vpmu/vpmu.h>
#include "options.h"

#define TOP_INTERVAL_MIN_NS 200000000ull
#define TOP_INTERVAL_MAX_NS 60000000000ull

/* What is looked at, and how: the user changes it by keys. */
struct top_look {
	const char *sort;
	unsigned int sides; /* VPMU_SIDES_*; 0 = both */
	uint64_t interval_ns;
	size_t limit;	  /* rows of each half; 0 = as many as there is room for */
	bool paused;	  /* nothing new is to be shown */
	bool help;
	unsigned int version; /* counts changes of sort, sides and interval */
};

/* What was seen in one interval. All of it is the source's, until it shows the next one. */
struct top_view {
	const struct vpmu_row *rows; /* guest half first, heaviest first */
	size_t n;
	uint64_t samples[2]; /* of each half; 1 = guest */
	struct vpmu_coverage coverage;
	int64_t time_ms; /* Unix time of its end */
	uint64_t interval_ns;
};

struct top;

const struct top_look *top_look(const struct top *top);
/* Nothing that is wrong can turn up any more before there is something to show: takes the terminal over. */
void top_begin(struct top *top);
/* To be called ten times a second at least. True: it is over. */
bool top_tick(struct top *top);
/* A view, valid until the next one is shown. @is_new: of a new interval, not the last one anew. True: it is over. */
bool top_show(struct top *top, const struct top_view *view, bool is_new);

/* What sources are asked for. */
struct top_request {
	const struct name_list *guests;
	const char *events;
	uint64_t frequency_hz;
	unsigned int sides;
	const struct guest_file_args *files; /* of top_local() */
};

/* They run until it is over (0), the guests are gone (-ESRCH), or something fails. */
int top_local(struct top *top, const struct top_request *request, const struct vpmu_guests *guests,
	      struct vpmu_error *reterr);
int top_remote(struct top *top, const struct top_request *request, struct vpmu_client **client,
	       const char *socket_path, struct vpmu_error *reterr);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which entries of a profile a report, a comparison or an export is about: an event, some sides, some guests. */
#ifndef PROFILE_SELECT_H
#define PROFILE_SELECT_H

#include "profile/profile.h"

struct selection {
	uint32_t event;
	unsigned int sides; /* never 0 */
	bool *guests;	    /* by index; NULL = all, and what belongs to none */
};

/*
 * @sides: 0 = all. @names: names or UUIDs, NULL = all.
 * Errors: -ENOENT (no such guest in the profile; the hint names those that are), -ENOMEM.
 */
int selection_init(struct selection *selection, const struct profile_view *view, uint32_t event,
		   unsigned int sides, const char *const *names, size_t n_names,
		   struct vpmu_error *reterr);
void selection_deinit(struct selection *selection);
#define _selection_ __attribute__((cleanup(selection_deinit)))

static inline bool selection_has(const struct selection *s, const struct profile_entry *e)
{
	return e->event == s->event && (s->sides & 1u << e->side) &&
	       (!s->guests || (e->guest != VPMU_NO_GUEST && s->guests[e->guest]));
}

/* "guest ", "host-kernel ", "guest-user or host-user ", "" for all: goes before "samples" in messages. */
void selection_describe_sides(unsigned int sides, char *text, size_t text_bytes);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiles as flame graphs: entries become stacks, and what a page says about them. */
#ifndef EXPORT_FLAME_PROFILE_H
#define EXPORT_FLAME_PROFILE_H

#include "export/flame.h"
#include "profile/select.h"

/* Levels below the first function, besides the root. */
#define FLAME_BY_GUEST	 1u
#define FLAME_BY_PROCESS 2u /* of guests where that is known, and of what belongs to no guest */

/*
 * The selected entries of @profile. @column: which of the two numbers their samples are; -1: the numbers are samples and
 * weight. -EINVAL (not resolved), -ENOMEM.
 */
int flame_add_profile(struct flame *flame, const struct vpmu_profile *profile, const struct selection *selection,
		      unsigned int levels, int column);

/* For the page's notes: NULL if the selection has samples with call chains, else what to do for them. */
const char *flame_chains_note(const struct profile_view *view, const struct selection *selection);

/* Adds what tells a guest apart from all others, in another profile too: its name and, where it has one, its UUID. */
void flame_guest_key(const struct profile_view *view, uint32_t guest, struct strbuf *key);

/* Of which guests the selection has samples, by index; the caller's to free(). NULL when out of memory. */
bool *flame_guests_seen(const struct profile_view *view, const struct selection *selection);

/* Names of the guests that the selection has samples of: "web1, web2 and 3 more". */
void flame_describe_guests(const struct profile_view *view, const struct selection *selection, struct strbuf *b);

/* The same from name to name: the @i'th one; and the end, there were @n. */
void flame_add_guest(struct strbuf *b, size_t i, const char *name);
void flame_end_guests(struct strbuf *b, size_t n);

#endif

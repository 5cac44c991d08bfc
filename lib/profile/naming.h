/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses of one session or recording into frames of one profile, each address asked about
 * once.
 */
#ifndef PROFILE_NAMING_H
#define PROFILE_NAMING_H

#include "profile/tables.h"
#include "sym/symbolizer.h"

/* An address, and what it is relative to. */
struct place {
	uint64_t address;
	uint32_t of;   /* a guest on the guests' sides, a space on user sides (PLACE_SPACE | … a guest's), else 0 */
	uint32_t side; /* enum vpmu_side */
};

struct naming;

/* @expected: about how many places there will be. */
struct naming *naming_new(struct profile_tables *tables, struct vpmu_symbolizer *symbolizer,
			  bool lines, size_t expected);
struct naming *naming_free(struct naming *naming);
DEFINE_CLEANUP(struct naming *, naming_free)

#define PLACE_SPACE (1u << 31)

static inline struct place place_of(enum vpmu_side side, uint32_t guest, uint32_t space,
				    uint64_t address)
{
	struct place place = { .address = address, .side = side };

	if (side == VPMU_SIDE_HOST_USER)
		place.of = space;
	else if (side == VPMU_SIDE_GUEST_USER && space != SPACE_NONE)
		place.of = PLACE_SPACE | space;
	else if (VPMU_SIDES_GUEST & 1u << side)
		place.of = guest;
	return place;
}

/*
 * The frame of a place; UINT32_MAX when out of memory. @caller: it is not where the sample was
 * taken.
 */
uint32_t naming_frame(struct naming *naming, const struct place *place, bool caller);

/* Fetches into the cache what naming_frame() will look at first. */
void naming_prefetch(const struct naming *naming, const struct place *place);

#endif

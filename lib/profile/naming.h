/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses of one session or recording into frames of one profile, each address asked about once. */
#ifndef PROFILE_NAMING_H
#define PROFILE_NAMING_H

#include "profile/tables.h"
#include "sym/symbolizer.h"

struct naming;

struct naming *naming_new(struct profile_tables *tables, struct vpmu_symbolizer *symbolizer, bool lines);
struct naming *naming_free(struct naming *naming);
DEFINE_CLEANUP(struct naming *, naming_free)

/* @guest matters on the guests' sides, @space on the host's user side. UINT32_MAX when out of memory. */
uint32_t naming_frame(struct naming *naming, enum vpmu_side side, uint32_t guest, uint32_t space,
		      uint64_t address);

#endif

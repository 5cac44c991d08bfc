/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a resolved profile consists of, and the object around it: shared by the files of this
 * folder that fill profiles.
 */
#ifndef PROFILE_TABLES_H
#define PROFILE_TABLES_H

#include <stdatomic.h>
#include <vpmu/session.h>

#include "profile/profile.h"
#include "util/idtable.h"

/* As it was told; info.name points to nothing, the string is name. */
struct profile_event {
	struct vpmu_event_info info;
	uint32_t name;
};

/* Every table has one row per distinct content, found through its idtable. */
struct profile_tables {
	struct intern *strings;
	VEC(struct profile_event) events; /* by index */
	VEC(struct profile_guest) guests;
	VEC(struct profile_frame) frames;
	VEC(struct profile_stack) stacks;
	VEC(uint32_t) stack_frames;
	VEC(struct profile_entry) entries;
	struct idtable frame_ids, stack_ids, entry_ids;
};

struct stacks;

struct vpmu_profile {
	atomic_uint refs;
	struct vpmu_profile_opts opts;
	struct stacks *filling;	/* what was added; NULL once resolved */
	bool resolved, failed;	/* failed: a sample could not be counted */
	struct profile_tables tables;
	struct vpmu_coverage coverage;
};

int tables_init(struct profile_tables *tables);
void tables_deinit(struct profile_tables *tables);

/*
 * As profile_put_*(), but for the coverage, which these leave alone. UINT32_MAX when out of
 * memory.
 */
int tables_event(struct profile_tables *t, const struct profile_event *event); /* the next one; -ENOMEM */
uint32_t tables_guest(struct profile_tables *t, uint32_t name, uint32_t uuid);
uint32_t tables_frame(struct profile_tables *t, const struct profile_frame *frame);
uint32_t tables_stack(struct profile_tables *t, const uint32_t *frames, size_t n, uint32_t hash);
int tables_count(struct profile_tables *t, const struct profile_entry *entry, uint32_t hash);

/*
 * The hashes that these want. Apart, so that who adds many can have the tables' slots fetched
 * into the cache meanwhile.
 */
uint32_t tables_stack_hash(const uint32_t *frames, size_t n);
uint32_t tables_entry_hash(const struct profile_entry *entry);

/* Gives back the room that growing tables keep in reserve. */
void tables_trim(struct profile_tables *t);

#endif

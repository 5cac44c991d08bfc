/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The profile object: its life, its two states, and profiles built by hand. Filling is in
 * stacks.c, naming in resolve.c.
 */
#include <errno.h>

#include "profile/stacks.h"
#include "profile/tables.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"

VPMU_API struct vpmu_profile *vpmu_profile_free(struct vpmu_profile *profile)
{
	if (!profile || atomic_fetch_sub(&profile->refs, 1) > 1)
		return NULL;
	stacks_free(profile->filling);
	tables_deinit(&profile->tables);
	free(profile);
	return NULL;
}
DEFINE_CLEANUP(struct vpmu_profile *, vpmu_profile_free)

VPMU_API struct vpmu_profile *vpmu_profile_ref(struct vpmu_profile *profile)
{
	atomic_fetch_add(&profile->refs, 1);
	return profile;
}

VPMU_API int vpmu_profile_new(const struct vpmu_profile_opts *opts,
			      struct vpmu_profile **ret_profile, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *profile = NULL;

	if (!opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "profile options of a newer library version");
	profile = calloc(1, sizeof(*profile));
	if (!profile)
		return error_oom(reterr);
	profile->refs = 1;
	if (tables_init(&profile->tables) < 0)
		return error_oom(reterr);
	opts_take(&profile->opts, opts);
	*ret_profile = take_ptr(profile);
	return 0;
}

VPMU_API void vpmu_profile_add(const struct vpmu_sample *sample, void *data)
{
	struct vpmu_profile *profile = data;

	if (unlikely(!profile->filling)) {
		profile->filling = profile->resolved ?
			NULL : stacks_new(profile->tables.strings, profile->opts.chains);
		if (!profile->filling) {
			profile->failed = true;
			return;
		}
	}
	stacks_add(profile->filling, sample);
}

VPMU_API void vpmu_profile_coverage(const struct vpmu_profile *profile,
				    struct vpmu_coverage *ret_coverage)
{
	*ret_coverage = profile->coverage;
}

VPMU_API int vpmu_profile_add_event(struct vpmu_profile *profile, const struct vpmu_event_info *info,
				    struct vpmu_error *reterr)
{
	struct profile_event event = { .info = *info };

	event.name = intern_add(profile->tables.strings, info->name ? info->name : "");
	event.info.name = NULL;
	if (event.name == INTERN_FAILED || tables_event(&profile->tables, &event) < 0)
		return error_oom(reterr);
	return 0;
}

VPMU_API size_t vpmu_profile_memory(const struct vpmu_profile *profile)
{
	const struct profile_tables *t = &profile->tables;

	return sizeof(*profile) + (profile->filling ? stacks_bytes(profile->filling) : 0) +
	       intern_bytes(t->strings) + t->guests.room * sizeof(*t->guests.items) +
	       t->frames.room * sizeof(*t->frames.items) + t->stacks.room * sizeof(*t->stacks.items) +
	       t->stack_frames.room * sizeof(*t->stack_frames.items) + t->entries.room * sizeof(*t->entries.items) +
	       idtable_bytes(&t->frame_ids) + idtable_bytes(&t->stack_ids) + idtable_bytes(&t->entry_ids);
}

VPMU_API bool vpmu_profile_event(const struct vpmu_profile *profile, size_t i, struct vpmu_event_info *ret_info)
{
	const struct profile_event *event;

	if (i >= profile->tables.events.n)
		return false;
	event = &profile->tables.events.items[i];
	*ret_info = event->info;
	ret_info->name = intern_string(profile->tables.strings, event->name);
	return true;
}

VPMU_API bool vpmu_profile_guest(const struct vpmu_profile *profile, size_t i, const char **ret_name,
				 const char **ret_uuid)
{
	const struct profile_guest *guest;

	if (i >= profile->tables.guests.n)
		return false;
	guest = &profile->tables.guests.items[i];
	*ret_name = intern_string(profile->tables.strings, guest->name);
	*ret_uuid = intern_string(profile->tables.strings, guest->uuid);
	return true;
}

VPMU_API uint64_t vpmu_profile_guest_samples(const struct vpmu_profile *profile, uint32_t i)
{
	uint64_t samples = 0;

	vec_for_each(entry, &profile->tables.entries)
		if (entry->guest == i)
			samples += entry->samples;
	return samples;
}

int profile_view(const struct vpmu_profile *profile, struct profile_view *ret_view)
{
	const struct profile_tables *t = &profile->tables;

	if (!profile->resolved)
		return -EINVAL;
	*ret_view = (struct profile_view){
		.strings = t->strings,
		.guests = t->guests.items,
		.n_guests = t->guests.n,
		.frames = t->frames.items,
		.n_frames = t->frames.n,
		.stacks = t->stacks.items,
		.stack_frames = t->stack_frames.items,
		.n_stacks = t->stacks.n,
		.entries = t->entries.items,
		.n_entries = t->entries.n,
	};
	return 0;
}

uint32_t profile_put_string(struct vpmu_profile *profile, const char *string)
{
	profile->resolved = true;
	return intern_add(profile->tables.strings, string);
}

uint32_t profile_put_guest(struct vpmu_profile *profile, const char *name, const char *uuid)
{
	uint32_t name_id = profile_put_string(profile, name),
		 uuid_id = profile_put_string(profile, uuid);

	if (name_id == INTERN_FAILED || uuid_id == INTERN_FAILED)
		return UINT32_MAX;
	return tables_guest(&profile->tables, name_id, uuid_id);
}

uint32_t profile_put_frame(struct vpmu_profile *profile, const struct profile_frame *frame)
{
	profile->resolved = true;
	return tables_frame(&profile->tables, frame);
}

uint32_t profile_put_stack(struct vpmu_profile *profile, const uint32_t *frames, size_t n)
{
	profile->resolved = true;
	return tables_stack(&profile->tables, frames, n, tables_stack_hash(frames, n));
}

int profile_put(struct vpmu_profile *profile, const struct profile_entry *entry)
{
	int r = tables_count(&profile->tables, entry, tables_entry_hash(entry));

	if (r < 0)
		return r;
	profile->resolved = true;
	profile->coverage.samples += entry->samples;
	profile->coverage.sides[entry->side] += entry->samples;
	switch (profile->tables.frames.items[entry->leaf].status) {
	case VPMU_FRAME_OK:
		profile->coverage.resolved += entry->samples;
		break;
	case VPMU_FRAME_OPAQUE:
	case VPMU_FRAME_NESTED:
		profile->coverage.opaque += entry->samples;
		break;
	}
	return 0;
}

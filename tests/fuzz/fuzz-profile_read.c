/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A profile's bytes, from anybody. What can be read can be written, is read again as the same, and can be merged; its
 * coverage adds up.
 */
#include <vpmu/profile.h>

#include "fuzz.h"
#include "profile/profile.h"

static void look_at(const struct vpmu_profile *profile)
{
	struct vpmu_coverage c;
	struct profile_view view;
	uint64_t samples = 0;

	HOLDS(profile_view(profile, &view) == 0);
	for (size_t i = 0; i < view.n_entries; i++) {
		const struct profile_entry *e = &view.entries[i];

		HOLDS(e->guest == VPMU_NO_GUEST || e->guest < view.n_guests);
		HOLDS(e->leaf < view.n_frames && e->side < VPMU_SIDE_COUNT);
		HOLDS(e->stack == PROFILE_NO_STACK || e->stack < view.n_stacks);
		touch_string(intern_string(view.strings, e->process));
		samples += e->samples;
	}
	for (size_t i = 0; i < view.n_stacks; i++)
		for (uint32_t k = 0; k < view.stacks[i].n; k++)
			HOLDS(view.stack_frames[view.stacks[i].first + k] < view.n_frames);
	for (size_t i = 0; i < view.n_frames; i++)
		touch_string(intern_string(view.strings, view.frames[i].symbol));
	vpmu_profile_coverage(profile, &c);
	HOLDS(c.samples == samples);
	HOLDS(c.samples == vpmu_coverage_guest(&c) + vpmu_coverage_host(&c) + c.sides[VPMU_SIDE_UNKNOWN]);
	HOLDS(c.resolved + c.opaque <= c.samples);
	touch_string(c.source);
}

static void there_and_back(const struct vpmu_profile *profile)
{
	struct vpmu_profile *again = NULL, *sum = NULL;
	void *first = NULL, *second = NULL;
	size_t n_first = 0, n_second = 0;

	HOLDS(vpmu_profile_write(profile, NULL, &first, &n_first, NULL) == 0);
	HOLDS(vpmu_profile_read(first, n_first, NULL, &again, NULL) == 0);
	look_at(again);
	HOLDS(vpmu_profile_write(again, NULL, &second, &n_second, NULL) == 0);
	HOLDS(n_first == n_second && memcmp(first, second, n_first) == 0);
	HOLDS(vpmu_profile_new(NULL, &sum, NULL) == 0);
	HOLDS(vpmu_profile_merge(sum, again, NULL) == 0);
	HOLDS(vpmu_profile_merge(sum, profile, NULL) == 0);
	vpmu_profile_free(sum);
	vpmu_profile_free(again);
	free(first);
	free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	VPMU_OPTS(vpmu_profile_read_opts, opts, .max_bytes = 1 << 20);
	struct vpmu_profile *profile = NULL;
	struct vpmu_error error = {};
	void *copy = exact_copy(bytes, size);

	if (vpmu_profile_read(copy, size, &opts, &profile, &error) == 0) {
		look_at(profile);
		there_and_back(profile);
	} else {
		HOLDS(!profile && error.text[0]);
	}
	vpmu_profile_free(profile);
	free(copy);
	return 0;
}

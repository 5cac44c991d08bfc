/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small resolved profiles, written down stack by stack. */
#ifndef TESTS_UNIT_PROFILE_FIXTURE_H
#define TESTS_UNIT_PROFILE_FIXTURE_H

#include "profile/profile.h"
#include "test.h"
#include "util/macro.h"

__attribute__((unused)) static struct vpmu_profile *new_profile(void)
{
	VPMU_OPTS(vpmu_profile_opts, opts, .chains = true);
	struct vpmu_profile *profile;

	CHECK_EQ(vpmu_profile_new(&opts, &profile, NULL), 0);
	return profile;
}

/* A symbol that starts with "0x" is a place without a name. */
__attribute__((unused)) static uint32_t put_frame(struct vpmu_profile *p, enum vpmu_side side,
						  const char *symbol, const char *dso)
{
	uint32_t id = profile_put_frame(p, &(struct profile_frame){
		.symbol = profile_put_string(p, symbol),
		.dso = profile_put_string(p, dso),
		.side = (uint8_t)side,
		.status = starts_with(symbol, "0x") ? VPMU_FRAME_NO_SYMBOLS : VPMU_FRAME_OK,
	});

	CHECK(id != UINT32_MAX);
	return id;
}

struct hit {
	uint32_t guest, vcpu, event;
	const char *process;
	enum vpmu_side side;
	uint64_t samples, weight; /* weight 0: a thousand per sample */
	const uint32_t *stack;	  /* innermost first */
	size_t n_stack;
};

__attribute__((unused)) static void put_hit(struct vpmu_profile *p, const struct hit *h)
{
	struct profile_entry e = {
		.guest = h->guest,
		.vcpu = h->vcpu,
		.event = h->event,
		.process = profile_put_string(p, h->process ? h->process : ""),
		.side = (uint8_t)h->side,
		.leaf = h->stack[0],
		.stack = h->n_stack > 1 ? profile_put_stack(p, h->stack, h->n_stack) : PROFILE_NO_STACK,
		.samples = h->samples,
		.weight = h->weight ? h->weight : 1000 * h->samples,
	};

	CHECK_EQ(profile_put(p, &e), 0);
}

/* @samples of one symbol, without a chain, of guest 0. */
__attribute__((unused)) static void put_symbol(struct vpmu_profile *p, enum vpmu_side side,
					       const char *symbol, const char *dso, uint64_t samples)
{
	uint32_t frame = put_frame(p, side, symbol, dso);

	put_hit(p, &(struct hit){ .side = side, .samples = samples, .stack = &frame, .n_stack = 1 });
}

#endif

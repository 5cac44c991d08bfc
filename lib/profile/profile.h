/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A resolved profile, seen from inside: what report, diff and export walk over. (How it is filled: profile.c.)
 *
 * Everything is a small number into a table of the profile: strings, frames, stacks. An entry is one distinct combination of
 * (guest, vCPU, side, process, event, leaf frame, stack) with its counts. Memory grows with distinct entries, not samples.
 */
#ifndef PROFILE_PROFILE_H
#define PROFILE_PROFILE_H

#include <stdint.h>
#include <vpmu/profile.h>
#include "util/intern.h"
#include "util/vec.h"

#define PROFILE_NO_STACK UINT32_MAX

/* A named place in code: all addresses of one symbol (or of one unnamed address, shown as dso+offset) are one frame. */
struct profile_frame {
	uint32_t symbol;   /* string; for a status other than OK: what to show instead, e.g. "0x3f10" */
	uint32_t dso, build_id, src_file; /* strings; 0 = none */
	uint32_t src_line;
	uint8_t side, status; /* enum vpmu_side, enum vpmu_frame_status */
	uint16_t blank;	   /* 0; has a name so that it is copied, for those who compare bytes */
};

struct profile_entry {
	uint32_t guest;	  /* index into guests, or VPMU_NO_GUEST */
	uint32_t vcpu;	  /* or VPMU_NO_VCPU */
	uint32_t process; /* string: the host thread's name */
	uint32_t event;
	uint32_t leaf;	  /* frame */
	uint32_t stack;	  /* or PROFILE_NO_STACK */
	uint8_t side;	  /* of the sample */
	uint64_t samples, weight;
};

struct profile_guest {
	uint32_t name, uuid; /* strings */
};

/* Frames of stack i: stack_frames[stacks[i].first …], innermost (the leaf) first. */
struct profile_stack {
	uint32_t first, n;
};

struct profile_view {
	const struct intern *strings;
	const struct profile_guest *guests;
	size_t n_guests;
	const struct profile_frame *frames;
	size_t n_frames;
	const struct profile_stack *stacks;
	const uint32_t *stack_frames;
	size_t n_stacks;
	const struct profile_entry *entries;
	size_t n_entries;
};

/* -EINVAL if the profile is not resolved. The view is valid until the profile changes. */
int profile_view(const struct vpmu_profile *profile, struct profile_view *ret_view);

/*
 * Builds resolved profiles by hand: what resolve, merge, tests (and later vpmud's store) use. An empty profile becomes resolved by
 * the first of these calls.
 */
uint32_t profile_put_string(struct vpmu_profile *profile, const char *string);
uint32_t profile_put_guest(struct vpmu_profile *profile, const char *name, const char *uuid);
uint32_t profile_put_frame(struct vpmu_profile *profile, const struct profile_frame *frame);
uint32_t profile_put_stack(struct vpmu_profile *profile, const uint32_t *frames, size_t n);
/* Adds counts to the entry with these keys, making it if need be. All: UINT32_MAX / -ENOMEM when out of memory. */
int profile_put(struct vpmu_profile *profile, const struct profile_entry *entry);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiles for other tools: one writer per format, fed from a resolved profile. */
#ifndef VPMU_EXPORT_H
#define VPMU_EXPORT_H

#include <vpmu/common.h>
#include <vpmu/error.h>
#include <vpmu/exits.h>
#include <vpmu/profile.h>

struct vpmu_export_opts {
	size_t sz;
	uint32_t event;	    /* which event, by index */
	unsigned int sides; /* VPMU_SIDES_*; 0 = all */
	bool by_weight;	    /* counts are weights instead of samples; pprof carries both and opens with these */
	bool is_clock;	    /* weights are nanoseconds: vpmu_event_info.is_clock of that event */
	const char *title;  /* where the profile comes from: speedscope's profile name, default "vpmu"; in a flame graph below the guests' names */
	const char *const *guests; /* only these guests: names or UUIDs; NULL = all */
	size_t n_guests;
};

struct vpmu_flamegraph_opts {
	size_t sz;
	const char *title;	  /* default: names of guests */
	const char *base, *other; /* a comparison: what the two are called; default "base", "other" */
	bool by_count;		  /* exits: opens by count instead of time; the page has both */
};

VPMU_BEGIN_DECLS

/*
 * vpmu_export_format - name of format @i ("folded", "pprof", "speedscope"), NULL beyond the end.
 */
VPMU_API const char *vpmu_export_format(size_t i);

/*
 * vpmu_export - write @profile to file descriptor @fd in @format.
 *   folded      one line a stack: guest;side;frame;frame… COUNT (outermost first). Within a name `;` becomes `:`, a control
 *               character `?`
 *   pprof       profile.proto, gzip; sample types samples/count and weight/count (cpu/nanoseconds for clocks); labels guest,
 *               guest_uuid, vcpu, side, process
 *   speedscope  its JSON file format, one sampled profile per guest and vCPU
 *   flamegraph  a page for a browser that needs nothing else: guests, their processes where these are known, functions on what
 *               called them; coloured by side, with search and zoom. Of more than 50 000 frames the smallest are left out,
 *               and the page says how much that is
 *
 * A frame's name ends in its side, so that equal names of guest and host stay apart: "_[k]" host kernel, "_[h]"
 * hypervisor, "_[gk]" guest kernel, "_[gu]" guest user; host user code has no suffix, and a flame graph has colours instead.
 * (pprof: files of guests are "guest:FILE", and the bare symbol is the function's system_name.) A frame without a symbol is its
 * file and the offset in it, "libc.so.6+0x26d0a". What belongs to no guest is under "[no guest]".
 *
 * Errors: -EINVAL (unknown format: the text lists them; profile not resolved), -ENOENT (a guest that is not in the profile),
 * -ENODATA (no samples selected; nothing is written), -ENOMEM, what writing gave. The descriptor stays open.
 */
VPMU_API int vpmu_export(const struct vpmu_profile *profile, const char *format,
			 const struct vpmu_export_opts *opts, int fd, struct vpmu_error *reterr);

/*
 * vpmu_flamegraph_diff - write a flame graph that compares two profiles (vpmu_diff_opts: which parts of them, by_dso) to @fd. A bar is
 * as wide as its share of @other's samples, coloured by the change of its share: red more, blue less, grey if the 95 %
 * confidence interval of the change has 0 in it, as in vpmu_diff_row. Guests are a level of their own if both have one of
 * the same name.
 *
 * Errors: as vpmu_diff_new(), and what writing gave. The descriptor stays open.
 */
VPMU_API int vpmu_flamegraph_diff(const struct vpmu_profile *base, const struct vpmu_profile *other,
				  const struct vpmu_diff_opts *diff, const struct vpmu_flamegraph_opts *opts, int fd,
				  struct vpmu_error *reterr);

/*
 * vpmu_flamegraph_exits - write a flame graph of what led to VM exits since the start to @fd: guest, its functions, the exit's
 * reason.
 *
 * Errors: -EINVAL (vpmu_exits_opts.stacks was not asked for), -ENODATA (nothing was sampled), -ENOMEM, what writing gave. The
 * descriptor stays open.
 */
VPMU_API int vpmu_flamegraph_exits(struct vpmu_exits *exits, const struct vpmu_flamegraph_opts *opts, int fd,
				   struct vpmu_error *reterr);

VPMU_END_DECLS

#endif

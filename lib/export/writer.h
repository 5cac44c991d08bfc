/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One writer per file format, and what all of them need: the selected entries added up to the
 * detail that the format shows, the frames of an entry, a frame's name.
 */
#ifndef EXPORT_WRITER_H
#define EXPORT_WRITER_H

#include <vpmu/export.h>

#include "export/output.h"
#include "profile/profile.h"
#include "profile/select.h"
#include "util/vec.h"

struct export_job {
	const struct vpmu_profile *profile;
	struct profile_view view;
	struct vpmu_export_opts opts;
	struct selection selection;
	struct output out;
};

struct export_writer {
	const char *name;
	/* Returns 0 or a negative errno; failures of writing may be left in job->out.error instead. */
	int (*write)(struct export_job *job);
};

extern const struct export_writer export_flamegraph, export_folded, export_pprof, export_speedscope;

/* What a format tells apart, besides guests and stacks. */
#define EXPORT_BY_VCPU	  1u
#define EXPORT_BY_SIDE	  2u
#define EXPORT_BY_PROCESS 4u

typedef VEC(struct profile_entry) export_entries;

/*
 * The selected entries, those added up that differ in nothing but what @by leaves out, ordered by
 * guest, vCPU, side, process, stack. Members that @by leaves out are VPMU_NO_VCPU,
 * VPMU_SIDE_UNKNOWN, 0. -ENOMEM.
 */
int export_collect(const struct export_job *job, unsigned int by, export_entries *ret_entries);

/* The frames of @entry, innermost first: its stack, or the leaf alone. */
const uint32_t *export_stack(const struct profile_view *view, const struct profile_entry *entry,
			     size_t *ret_n);

/*
 * The name of a frame in all formats: the symbol, or for a place without one the file's name and
 * the offset, "libc.so.6+0x26d0a"; then its side, the way flamegraph.pl's palettes expect it of
 * kernel frames: "_[k]" host kernel, "_[h]" hypervisor mode, "_[gk]" guest kernel, "_[gu]" guest
 * user, nothing for host user.
 */
void export_frame_name(const struct profile_view *view, const struct profile_frame *frame,
		       struct strbuf *b);

/* The same without the side. */
void export_place_name(const struct profile_view *view, const struct profile_frame *frame,
		       struct strbuf *b);

/* "[no guest]" for what belongs to none. */
const char *export_guest_name(const struct profile_view *view, uint32_t guest);

#endif

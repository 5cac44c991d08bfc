/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiles for other tools: one writer per format, fed from a resolved profile. */
#ifndef VPMU_EXPORT_H
#define VPMU_EXPORT_H

#include <vpmu/common.h>
#include <vpmu/error.h>
#include <vpmu/profile.h>

struct vpmu_export_opts {
	size_t sz;
	uint32_t event;	    /* which event, by index */
	unsigned int sides; /* VPMU_SIDES_*; 0 = all */
	bool by_weight;	    /* folded counts are weights instead of samples */
	const char *title;  /* speedscope's profile name; default "vpmu" */
};

VPMU_BEGIN_DECLS

/*
 * vpmu_export_format - name of format @i ("folded", "pprof", "speedscope"), NULL beyond the end.
 */
VPMU_API const char *vpmu_export_format(size_t i);

/*
 * vpmu_export - write @profile to file descriptor @fd in @format.
 *   folded      one line a stack: guest;side;frame;frame… COUNT (outermost first)
 *   pprof       profile.proto, gzip; labels guest, vcpu, side, process
 *   speedscope  its JSON file format, one sampled profile per guest and vCPU
 * Errors: -EINVAL (unknown format: the text lists them), -ENOMEM, what writing gave. The descriptor stays open.
 */
VPMU_API int vpmu_export(const struct vpmu_profile *profile, const char *format,
			 const struct vpmu_export_opts *opts, int fd, struct vpmu_error *reterr);

VPMU_END_DECLS

#endif

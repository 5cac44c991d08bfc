/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The unwind tables (format/orc.h) of a guest's kernel and of its modules, read out of its memory. A kernel without them keeps frame
 * pointers.
 *
 * A distribution's kernel has half a million entries, 5 MiB; guests with the same kernel share one copy, once what was read from each has
 * been found to be the same.
 */
#ifndef GUEST_KERNEL_ORC_H
#define GUEST_KERNEL_ORC_H

#include "format/orc.h"
#include "guest/kernel.h"

struct kernel_orc;

/*
 * Errors: -ENODATA: the kernel has no such tables; -EOPNOTSUPP: in a layout that is not known, or they make no sense, or guests have
 * more of them than is good for us; -EBADMSG: a parser tells nonsense; -ESRCH, -ESTALE, -ENOMEM, those of confined_ask().
 */
int kernel_orc_load(struct vpmu_kernel *kernel, struct kernel_orc **ret_orc, struct vpmu_error *reterr);
struct kernel_orc *kernel_orc_free(struct kernel_orc *orc);
DEFINE_CLEANUP(struct kernel_orc *, kernel_orc_free)

/* The modules that are loaded now; none if the kernel has no type information. Those of before stay if this fails: errors as above. */
int kernel_orc_look_again(struct kernel_orc *orc, struct vpmu_kernel *kernel, struct vpmu_error *reterr);

/* For a parser (parser_wire.h), which answers the two above with it: tables of the kernel, or of its modules. */
int kernel_orc_encode(struct vpmu_kernel *kernel, bool modules, struct strbuf *out, struct vpmu_error *reterr);

/* Whether, since the last look, an address was asked for that belongs to no code that was known then. */
bool kernel_orc_missed(const struct kernel_orc *orc);

/* For orc_unwind(); belongs to @orc. */
const struct orc_kernel *kernel_orc_view(struct kernel_orc *orc);

#endif

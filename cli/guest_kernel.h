/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands have in common that look into a guest's kernel: which guest, or which copy of
 * its memory. */
#ifndef CLI_GUEST_KERNEL_H
#define CLI_GUEST_KERNEL_H

#include <vpmu/introspect.h>
#include "command.h"

struct guest_kernel_args {
	const char *memory_path;
};
extern const struct option_spec guest_kernel_options[];

/* Finds the guest that @operands[0] names, and its kernel. Says what is wrong itself. */
enum status guest_kernel_open(const struct guest_kernel_args *args,
			      const struct name_list *operands, size_t n_operands,
			      struct vpmu_kernel **ret_kernel);

#endif

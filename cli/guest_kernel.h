/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the commands have in common that look into a guest's kernel: which guest, or which copy of its memory, and that what is found
 * is printed as text or as a list in JSON.
 */
#ifndef CLI_GUEST_KERNEL_H
#define CLI_GUEST_KERNEL_H

#include <vpmu/introspect.h>
#include "util/strbuf.h"
#include "command.h"
#include "json.h"

struct guest_kernel_args {
	struct common_args common;
	const char *memory_path, *vmlinux_path;
};
extern const struct option_group guest_kernel_options[];

/* Where a walk puts what it finds: one of the two. */
struct guest_kernel_output {
	struct strbuf *text;
	struct json_list *list;
};

struct guest_kernel_listing {
	const char *key;     /* of the list */
	const char *heading; /* of the text; NULL = none */
	size_t n_operands;   /* besides the guest */
	int (*walk)(struct vpmu_kernel *kernel, const struct guest_kernel_output *out, const void *data,
		    struct vpmu_error *reterr);
	const void *data;
};

/* Finds the guest that @operands[0] names, and its kernel, and prints. Says what is wrong itself. */
enum status guest_kernel_list(const struct guest_kernel_args *args, const struct name_list *operands,
			      const struct guest_kernel_listing *listing);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "guest_kernel.h"
#include "output.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)

const struct option_spec guest_kernel_options[] = {
	{.name = "memory",
	 .arg = "FILE",
	 .help = "read this copy of a guest's memory instead of a running guest",
	 .set = option_string,
	 .offset = offsetof(struct guest_kernel_args, memory_path)},
	{},
};

enum status guest_kernel_open(const struct guest_kernel_args *args,
			      const struct name_list *operands, size_t n_operands,
			      struct vpmu_kernel **ret_kernel)
{
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = args->memory_path);
	const struct vpmu_guest_info *guest = NULL;
	size_t wanted = n_operands + !args->memory_path;
	struct vpmu_error error = {};

	if (operands->n < wanted)
		return say_usage(args->memory_path || operands->n ? "of which process?"
								  : "which guest?");
	if (operands->n > wanted)
		return say_usage("does not take '%s'", operands->items[wanted]);
	if (!args->memory_path &&
	    (vpmu_guests_new(NULL, &guests, &error) < 0 ||
	     vpmu_guests_find(guests, operands->items[0], &guest, &error) < 0))
		return say_error(&error);
	if (vpmu_kernel_open(guest, &opts, ret_kernel, &error) < 0)
		return say_error(&error);
	return STATUS_DONE;
}

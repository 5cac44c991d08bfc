/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "guest_kernel.h"
#include "output.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)
DEFINE_CLEANUP(struct vpmu_kernel *, vpmu_kernel_free)

static const struct option_spec source_options[] = {
	{.name = "memory",
	 .arg = "FILE",
	 .help = "read this copy of a guest's memory instead of a running guest",
	 .set = option_string,
	 .offset = offsetof(struct guest_kernel_args, memory_path)},
	{.name = "guest-vmlinux",
	 .arg = "FILE",
	 .help = "the guest kernel's vmlinux with section .BTF, for a kernel without type information",
	 .set = option_string,
	 .offset = offsetof(struct guest_kernel_args, vmlinux_path)},
	{},
};

const struct option_group guest_kernel_options[] = {
	{source_options, 0},
	{common_options, offsetof(struct guest_kernel_args, common)},
	{},
};

static enum status open_kernel(const struct guest_kernel_args *args,
			       const struct name_list *operands, size_t n_operands,
			       struct vpmu_kernel **ret_kernel)
{
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = args->memory_path, .vmlinux_path = args->vmlinux_path);
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

enum status guest_kernel_list(const struct guest_kernel_args *args, const struct name_list *operands,
			      const struct guest_kernel_listing *listing)
{
	_cleanup_(vpmu_kernel_freep) struct vpmu_kernel *kernel = NULL;
	const char *heading = listing->heading ? listing->heading : "";
	_strbuf_ struct strbuf text = {};
	struct vpmu_error error = {};
	struct json_list list;
	enum status status = open_kernel(args, operands, listing->n_operands, &kernel);
	int r;

	if (status != STATUS_DONE)
		return status;
	if (args->common.json) {
		json_list_begin(&list, NULL, listing->key);
		r = listing->walk(kernel, &(struct guest_kernel_output){.list = &list}, listing->data, &error);
		json_list_end(&list);
	} else {
		strbuf_adds(&text, heading);
		r = listing->walk(kernel, &(struct guest_kernel_output){.text = &text}, listing->data, &error);
		if (r >= 0 || text.n > strlen(heading))
			output_write(&text);
	}
	return r < 0 ? say_error(&error) : STATUS_DONE;
}

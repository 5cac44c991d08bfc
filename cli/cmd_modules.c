/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu modules: what /proc/modules says inside a guest. */
#include <vpmu/vpmu.h>

#include "command.h"
#include "guest_kernel.h"
#include "json.h"
#include "output.h"
#include "text.h"

static int print_module(const struct vpmu_kernel_module *module, void *data)
{
	struct strbuf *out = data;

	text_add_clean(out, module->name);
	strbuf_addc(out, ' ');
	strbuf_add_u64(out, module->size_bytes);
	if (module->references < 0)
		strbuf_adds(out, " - ");
	else
		strbuf_addf(out, " %lld ", (long long)module->references);
	text_add_clean(out, module->users);
	strbuf_addf(out, " %s 0x%016llx", module->state, (unsigned long long)module->text_gva);
	if (module->taints[0])
		strbuf_addf(out, " (%s)", module->taints);
	strbuf_addc(out, '\n');
	return 0;
}

static int list_module(const struct vpmu_kernel_module *module, void *data)
{
	struct json_object *item = json_new_object();

	json_put_string(item, "name", module->name);
	json_put_int(item, "size_bytes", (int64_t)module->size_bytes);
	if (module->references < 0)
		json_put_null(item, "references");
	else
		json_put_int(item, "references", module->references);
	json_put_string(item, "users", module->users);
	json_put_string(item, "state", module->state);
	json_put_address(item, "address", module->text_gva);
	json_put_string(item, "taints", module->taints);
	json_list_item(data, item);
	return 0;
}

static int walk(struct vpmu_kernel *kernel, const struct guest_kernel_output *out, const void *data, struct vpmu_error *reterr)
{
	(void)data;
	return out->list ? vpmu_kernel_each_module(kernel, list_module, out->list, reterr)
			 : vpmu_kernel_each_module(kernel, print_module, out->text, reterr);
}

static enum status run_modules(const void *args, const struct name_list *operands)
{
	static const struct guest_kernel_listing listing = {
		.key = "modules",
		.walk = walk,
	};

	return guest_kernel_list(args, operands, &listing);
}

const struct command command_modules = {
	.name = "modules",
	.summary = "print a guest's /proc/modules, read out of its memory",
	.operands = "[GUEST]",
	.groups = guest_kernel_options,
	.args_bytes = sizeof(struct guest_kernel_args),
	.run = run_modules,
};

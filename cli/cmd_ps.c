/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu ps: the processes and threads inside a guest. */
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "command.h"
#include "guest_kernel.h"
#include "json.h"
#include "output.h"
#include "text.h"

DEFINE_CLEANUP(struct vpmu_kernel *, vpmu_kernel_free)

struct ps_args {
	struct common_args common;
	struct guest_kernel_args kernel;
};

static int print_task(const struct vpmu_kernel_task *task, void *data)
{
	struct strbuf *out = data;

	strbuf_addf(out, "%7d %7d  %s", task->tgid, task->pid, task->kernel_thread ? "[" : "");
	text_add_clean(out, task->comm);
	strbuf_adds(out, task->kernel_thread ? "]\n" : "\n");
	return 0;
}

static int list_task(const struct vpmu_kernel_task *task, void *data)
{
	struct json_object *item = json_new_object();

	json_put_int(item, "pid", task->pid);
	json_put_int(item, "tgid", task->tgid);
	json_put_string(item, "comm", task->comm);
	json_put_bool(item, "kernel_thread", task->kernel_thread);
	json_list_item(data, item);
	return 0;
}

static enum status run_ps(const void *opaque, const struct name_list *operands)
{
	const struct ps_args *args = opaque;
	_cleanup_(vpmu_kernel_freep) struct vpmu_kernel *kernel = NULL;
	_strbuf_ struct strbuf out = {};
	struct vpmu_error error = {};
	struct json_list list;
	enum status status = guest_kernel_open(&args->kernel, operands, 0, &kernel);
	int r;

	if (status != STATUS_DONE)
		return status;
	if (args->common.json) {
		json_list_begin(&list, NULL, "processes");
		r = vpmu_kernel_each_task(kernel, list_task, &list, &error);
		json_list_end(&list);
	} else {
		strbuf_addf(&out, "%7s %7s  %s\n", "PID", "THREAD", "NAME");
		r = vpmu_kernel_each_task(kernel, print_task, &out, &error);
		if (r >= 0)
			output_write(&out);
	}
	return r < 0 ? say_error(&error) : STATUS_DONE;
}

const struct command command_ps = {
	.name = "ps",
	.summary = "list the processes inside a guest, read out of its memory",
	.operands = "[GUEST]",
	.groups =
		(const struct option_group[]){
			{guest_kernel_options, offsetof(struct ps_args, kernel)},
			{common_options, 0},
			{},
		},
	.args_bytes = sizeof(struct ps_args),
	.run = run_ps,
};

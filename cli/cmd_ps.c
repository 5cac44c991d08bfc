/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu ps: the processes and threads inside a guest. */
#include <vpmu/vpmu.h>

#include "command.h"
#include "guest_kernel.h"
#include "json.h"
#include "output.h"
#include "text.h"

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

static int walk(struct vpmu_kernel *kernel, const struct guest_kernel_output *out, const void *data, struct vpmu_error *reterr)
{
	(void)data;
	return out->list ? vpmu_kernel_each_task(kernel, list_task, out->list, reterr)
			 : vpmu_kernel_each_task(kernel, print_task, out->text, reterr);
}

static enum status run_ps(const void *args, const struct name_list *operands)
{
	static const struct guest_kernel_listing listing = {
		.key = "processes",
		.heading = "    PID  THREAD  NAME\n",
		.walk = walk,
	};

	return guest_kernel_list(args, operands, &listing);
}

const struct command command_ps = {
	.name = "ps",
	.summary = "list the processes inside a guest, read out of its memory",
	.operands = "[GUEST]",
	.groups = guest_kernel_options,
	.args_bytes = sizeof(struct guest_kernel_args),
	.run = run_ps,
};

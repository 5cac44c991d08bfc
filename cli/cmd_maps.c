/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu maps: what /proc/PID/maps says inside a guest. */
#include <stdlib.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "command.h"
#include "guest_kernel.h"
#include "json.h"
#include "output.h"
#include "text.h"

DEFINE_CLEANUP(struct vpmu_kernel *, vpmu_kernel_free)

#define NAME_COLUMN 73

struct maps_args {
	struct common_args common;
	struct guest_kernel_args kernel;
};

static void add_protection(struct strbuf *out, const struct vpmu_kernel_mapping *mapping)
{
	strbuf_addc(out, mapping->readable ? 'r' : '-');
	strbuf_addc(out, mapping->writable ? 'w' : '-');
	strbuf_addc(out, mapping->executable ? 'x' : '-');
	strbuf_addc(out, mapping->shared ? 's' : 'p');
}

/* Newlines as the kernel writes them, whatever else could harm as '?'. */
static void add_name(struct strbuf *out, const char *name)
{
	_strbuf_ struct strbuf escaped = {};

	for (; *name; name++)
		if (*name == '\n')
			strbuf_adds(&escaped, "\\012");
		else
			strbuf_addc(&escaped, *name);
	if (escaped.failed)
		out->failed = true;
	else
		text_add_clean(out, escaped.text);
}

static int print_mapping(const struct vpmu_kernel_mapping *mapping, void *data)
{
	struct strbuf *out = data;
	size_t start = out->n;

	strbuf_addf(out, "%08llx-%08llx ", (unsigned long long)mapping->start_gva,
		    (unsigned long long)mapping->end_gva);
	add_protection(out, mapping);
	strbuf_addf(out, " %08llx %02x:%02x %llu ", (unsigned long long)mapping->offset_bytes,
		    mapping->major, mapping->minor, (unsigned long long)mapping->inode);
	if (mapping->name[0]) {
		while (out->n - start < NAME_COLUMN && !out->failed)
			strbuf_addc(out, ' ');
		add_name(out, mapping->name);
	}
	strbuf_addc(out, '\n');
	return 0;
}

static int list_mapping(const struct vpmu_kernel_mapping *mapping, void *data)
{
	_strbuf_ struct strbuf protection = {};
	struct json_object *item = json_new_object();

	add_protection(&protection, mapping);
	json_put_address(item, "start", mapping->start_gva);
	json_put_address(item, "end", mapping->end_gva);
	json_put_string(item, "protection", protection.text);
	json_put_int(item, "offset_bytes", (int64_t)mapping->offset_bytes);
	json_put_int(item, "major", mapping->major);
	json_put_int(item, "minor", mapping->minor);
	json_put_big(item, "inode", mapping->inode);
	json_put_string(item, "name", mapping->name);
	json_list_item(data, item);
	return 0;
}

static enum status run_maps(const void *opaque, const struct name_list *operands)
{
	const struct maps_args *args = opaque;
	_cleanup_(vpmu_kernel_freep) struct vpmu_kernel *kernel = NULL;
	_strbuf_ struct strbuf out = {};
	struct vpmu_error error = {};
	struct json_list list;
	enum status status = guest_kernel_open(&args->kernel, operands, 1, &kernel);
	const char *word;
	char *end;
	long pid;
	int r;

	if (status != STATUS_DONE)
		return status;
	word = operands->items[operands->n - 1];
	pid = strtol(word, &end, 10);
	if (*end || pid < 1 || pid > INT32_MAX)
		return say_usage("PID is a number inside the guest, not '%s'", word);
	if (args->common.json) {
		json_list_begin(&list, NULL, "mappings");
		r = vpmu_kernel_each_mapping(kernel, (pid_t)pid, list_mapping, &list, &error);
		json_list_end(&list);
	} else {
		r = vpmu_kernel_each_mapping(kernel, (pid_t)pid, print_mapping, &out, &error);
		if (r >= 0)
			output_write(&out);
	}
	return r < 0 ? say_error(&error) : STATUS_DONE;
}

const struct command command_maps = {
	.name = "maps",
	.summary = "print a process's /proc/PID/maps inside a guest, read out of its memory",
	.operands = "[GUEST] PID",
	.groups =
		(const struct option_group[]){
			{guest_kernel_options, offsetof(struct maps_args, kernel)},
			{common_options, 0},
			{},
		},
	.args_bytes = sizeof(struct maps_args),
	.run = run_maps,
};

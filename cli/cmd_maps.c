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

#define NAME_COLUMN 73

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

static int walk(struct vpmu_kernel *kernel, const struct guest_kernel_output *out, const void *data, struct vpmu_error *reterr)
{
	pid_t pid = *(const pid_t *)data;

	return out->list ? vpmu_kernel_each_mapping(kernel, pid, list_mapping, out->list, reterr)
			 : vpmu_kernel_each_mapping(kernel, pid, print_mapping, out->text, reterr);
}

static enum status run_maps(const void *opaque, const struct name_list *operands)
{
	const struct guest_kernel_args *args = opaque;
	/* Where there are fewer or more words, guest_kernel_list() says what is missing. */
	const char *word = operands->n == 1 + !args->memory_path ? operands->items[operands->n - 1] : "1";
	char *end;
	long number = strtol(word, &end, 10);
	pid_t pid = (pid_t)number;

	if (*end || number < 1 || number > INT32_MAX)
		return say_usage("PID is a number inside the guest, not '%s'", word);
	return guest_kernel_list(args, operands,
				 &(struct guest_kernel_listing){
					 .key = "mappings", .n_operands = 1, .walk = walk, .data = &pid});
}

const struct command command_maps = {
	.name = "maps",
	.summary = "print a process's /proc/PID/maps inside a guest, read out of its memory",
	.operands = "[GUEST] PID",
	.groups = guest_kernel_options,
	.args_bytes = sizeof(struct guest_kernel_args),
	.run = run_maps,
};

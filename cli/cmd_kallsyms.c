/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu kallsyms: what /proc/kallsyms says inside a guest. */
#include <ctype.h>
#include <errno.h>
#include <vpmu/vpmu.h>

#include "command.h"
#include "guest_kernel.h"
#include "json.h"
#include "output.h"
#include "text.h"

/* Text is written in pieces of this size. */
#define PIECE_BYTES (64 << 10)

static int print_symbol(const struct vpmu_kernel_symbol *symbol, void *data)
{
	static const char digits[] = "0123456789abcdef";
	struct strbuf *out = data;
	char *p = strbuf_reserve(out, 20);

	if (!p)
		return -ENOMEM;
	for (int shift = 60; shift >= 0; shift -= 4)
		*p++ = digits[symbol->gva >> shift & 15];
	out->n += 16;
	strbuf_addc(out, ' ');
	strbuf_addc(out, isalpha((unsigned char)symbol->type) ? symbol->type : '?');
	strbuf_addc(out, ' ');
	text_add_clean(out, symbol->name);
	if (symbol->module) {
		strbuf_adds(out, "\t[");
		text_add_clean(out, symbol->module);
		strbuf_addc(out, ']');
	}
	strbuf_addc(out, '\n');
	if (out->n >= PIECE_BYTES)
		output_write(out);
	return 0;
}

static int list_symbol(const struct vpmu_kernel_symbol *symbol, void *data)
{
	struct json_object *item = json_new_object();
	char type[2] = {symbol->type, '\0'};

	json_put_address(item, "address", symbol->gva);
	json_put_string(item, "type", type);
	json_put_string(item, "name", symbol->name);
	json_put_string(item, "module", symbol->module);
	json_list_item(data, item);
	return 0;
}

static int walk(struct vpmu_kernel *kernel, const struct guest_kernel_output *out, const void *data, struct vpmu_error *reterr)
{
	(void)data;
	return out->list ? vpmu_kernel_each_symbol(kernel, list_symbol, out->list, reterr)
			 : vpmu_kernel_each_symbol(kernel, print_symbol, out->text, reterr);
}

static enum status run_kallsyms(const void *args, const struct name_list *operands)
{
	static const struct guest_kernel_listing listing = {
		.key = "symbols",
		.walk = walk,
	};

	return guest_kernel_list(args, operands, &listing);
}

const struct command command_kallsyms = {
	.name = "kallsyms",
	.summary = "print a guest's /proc/kallsyms, read out of its memory",
	.operands = "[GUEST]",
	.groups = guest_kernel_options,
	.args_bytes = sizeof(struct guest_kernel_args),
	.run = run_kallsyms,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest/modules.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"

#define MODULE_STRUCT_MAX (64u << 10)
#define USERS_MAX	  1024

/* enum module_state */
enum { STATE_LIVE, STATE_COMING, STATE_GOING, STATE_UNFORMED };

/* The type information is the guest's, too: it may name any place. NO_MEMBER is outside of all. */
static bool has_field(const struct module_copy *module, uint32_t offset, uint32_t n)
{
	return n <= module->n_bytes && offset <= module->n_bytes - n;
}

uint64_t module_u64(const struct module_copy *module, uint32_t offset)
{
	uint64_t value = 0;

	if (has_field(module, offset, sizeof(value)))
		memcpy(&value, module->bytes + offset, sizeof(value));
	return value;
}

uint32_t module_u32(const struct module_copy *module, uint32_t offset)
{
	uint32_t value = 0;

	if (has_field(module, offset, sizeof(value)))
		memcpy(&value, module->bytes + offset, sizeof(value));
	return value;
}

int modules_each(struct vpmu_kernel *k, int (*fn)(const struct module_copy *module, void *data),
		 void *data)
{
	const struct kernel_types *t = k->types;
	uint64_t head = k->gva[KERNEL_MODULES], at, before = head;
	uint32_t name_bytes = MIN(t->module.name_bytes, (uint32_t)MODULE_NAME_BYTES);
	_free_ uint8_t *bytes = calloc(1, MODULE_STRUCT_MAX);
	int r;

	if (!bytes)
		return -ENOMEM;
	if (!head || t->module.bytes > MODULE_STRUCT_MAX)
		return 0;
	r = kernel_read_u64(k, head, &at);
	for (unsigned int i = 0; r == 0 && at != head && i < MODULES_MAX; i++) {
		struct module_copy module = {.gva = at - t->module.list, .bytes = bytes, .n_bytes = t->module.bytes};

		r = kernel_read(k, module.gva, bytes, t->module.bytes);
		if (r < 0)
			break;
		/* Each knows who comes before it: this is the list, and not a place where it was
		 * cut. */
		if (module_u64(&module, t->module.list + 8) != before)
			break;
		before = at;
		at = module_u64(&module, t->module.list);
		if (module_u32(&module, t->module.state) == STATE_UNFORMED)
			continue;
		if (has_field(&module, t->module.name, name_bytes))
			memcpy(module.name, bytes + t->module.name, name_bytes);
		module.name[MODULE_NAME_BYTES - 1] = '\0';
		r = fn(&module, data);
	}
	return r == -EFAULT ? 0 : r;
}

/* ---- lines of /proc/modules ---- */

/* Modules that use this one, each with a comma; "-" for none. print_unload_info() in kernel/module.
 */
static int list_users(struct vpmu_kernel *k, const struct module_copy *module, struct strbuf *out)
{
	const struct kernel_types *t = k->types;
	uint64_t head = module->gva + t->module.source_list,
		 at = module_u64(module, t->module.source_list), source;
	char name[MODULE_NAME_BYTES];

	for (unsigned int i = 0; at != head && i < USERS_MAX; i++) {
		uint64_t use = at - t->module_use.source_list;
		int r = kernel_read_u64(k, use + t->module_use.source, &source);

		if (r == 0)
			r = (int)MIN(
				kernel_read_string(k, source + t->module.name, name, sizeof(name)),
				0);
		if (r == 0)
			r = kernel_read_u64(k, at, &at);
		if (r == -ESRCH)
			return r;
		if (r < 0)
			break;
		strbuf_addf(out, "%s,", name);
	}
	if (module_u64(module, t->module.init) && !module_u64(module, t->module.exit) &&
	    t->module.exit != NO_MEMBER)
		strbuf_adds(out, "[permanent],");
	if (!out->n)
		strbuf_adds(out, "-");
	return 0;
}

/* taint_flags[] in kernel/panic.c: the letters of those that a module can cause. */
static void list_taints(uint64_t taints, uint32_t state, char *out)
{
	static const char letters[] = "PF........C.OE.KXTNJ";

	for (size_t i = 0; i < sizeof(letters) - 1; i++)
		if (taints >> i & 1 && letters[i] != '.')
			*out++ = letters[i];
	if (state == STATE_GOING)
		*out++ = '-';
	if (state == STATE_COMING)
		*out++ = '+';
	*out = '\0';
}

struct telling {
	struct vpmu_kernel *kernel;
	vpmu_kernel_module_fn fn;
	void *data;
	int stopped;
};

static int tell_module(const struct module_copy *module, void *data)
{
	static const char *const states[] = {"Live", "Loading", "Unloading"};
	struct telling *telling = data;
	struct vpmu_kernel *k = telling->kernel;
	const struct kernel_types *t = k->types;
	_strbuf_ struct strbuf users = {};
	uint32_t state = module_u32(module, t->module.state);
	char taints[32];
	struct vpmu_kernel_module told = {
		.name = module->name,
		.state = state < ARRAY_SIZE(states) ? states[state] : "?",
		.text_gva = module_u64(module, t->module.parts[0].base),
		.taints = taints,
		.references = -1,
	};
	int r;

	if (t->module.has_unload) {
		told.references = (int64_t)(int32_t)module_u32(module, t->module.refcnt) -
				  1; /* MODULE_REF_BASE */
		r = list_users(k, module, &users);
		if (r < 0)
			return r;
	} else {
		strbuf_adds(&users, "-");
	}
	if (users.failed)
		return -ENOMEM;
	told.users = users.text;
	for (size_t i = 0; i < MODULE_PARTS; i++)
		told.size_bytes += module_u32(module, t->module.parts[i].size);
	list_taints(module_u64(module, t->module.taints), state, taints);
	telling->stopped = telling->fn(&told, telling->data);
	return telling->stopped ? 1 : 0;
}

VPMU_API int vpmu_kernel_each_module(struct vpmu_kernel *k, vpmu_kernel_module_fn fn, void *data,
				     struct vpmu_error *reterr)
{
	struct telling telling = {k, fn, data, 0};
	int r = kernel_look_again(k, reterr);

	if (r == 0)
		r = kernel_types_load(k, reterr);
	if (r < 0)
		return r;
	r = modules_each(k, tell_module, &telling);
	if (telling.stopped)
		return telling.stopped;
	return r < 0 ? kernel_failed(r, reterr) : 0;
}

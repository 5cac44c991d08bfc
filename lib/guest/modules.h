/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The modules that a guest's kernel has loaded, newest first, as the list `modules` has them
 * (kernel/module).
 */
#ifndef GUEST_MODULES_H
#define GUEST_MODULES_H

#include "guest/kernel.h"
#include "guest/kernel_types.h"

#define MODULES_MAX	  4096
#define MODULE_NAME_BYTES 64

/* A copy of one struct module. */
struct module_copy {
	uint64_t gva;
	char name[MODULE_NAME_BYTES];
	const uint8_t *bytes;
	uint32_t n_bytes; /* types->module.bytes */
};

/*
 * Calls @fn for each module that is set up, until it returns non-zero, which is returned. Types
 * must be loaded. A list that does not lead back to its head ends where it stops to make sense.
 * Errors: -ESRCH, -ENOMEM.
 */
int modules_each(struct vpmu_kernel *kernel,
		 int (*fn)(const struct module_copy *module, void *data), void *data);

/* Fields of the copy; 0 for one that this kernel does not have, or that its type information has outside of the structure. */
uint64_t module_u64(const struct module_copy *module, uint32_t offset);
uint32_t module_u32(const struct module_copy *module, uint32_t offset);

/* The symbols of a module, in the order of its table; errors as above. What cannot be read is left
 * out. */
int module_symbols_each(struct vpmu_kernel *kernel, const struct module_copy *module,
			vpmu_kernel_symbol_fn fn, void *data);

#endif

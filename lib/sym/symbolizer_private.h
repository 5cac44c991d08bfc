/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A symbolizer seen from inside: one part for each kind of address. */
#ifndef SYM_SYMBOLIZER_PRIVATE_H
#define SYM_SYMBOLIZER_PRIVATE_H

#include "sym/files.h"
#include "sym/guest.h"
#include "sym/kernel.h"
#include "sym/named_table.h"
#include "sym/spaces.h"
#include "sym/symbolizer.h"
#include "util/vec.h"

struct vpmu_symbolizer {
	struct sym_env env;
	struct kernel *kernel;
	struct files *files;
	struct spaces *spaces;
	struct guests_symbols *guests;
	VEC(uint32_t) owners; /* by space: guest + 1; 0 or beyond the end = a process of the host's */
	const char *unknown; /* "[unknown]", interned */
};

#endif

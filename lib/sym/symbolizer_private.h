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
	struct spaces *guest_spaces; /* of processes in guests: numbers of their own */
	VEC(uint32_t) owners;	     /* by guest space: guest + 1 */
	const char *unknown; /* "[unknown]", interned */
};

#endif

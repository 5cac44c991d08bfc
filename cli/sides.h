/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --side S, --guest, --host: which halves a command looks at. */
#ifndef CLI_SIDES_H
#define CLI_SIDES_H

#include "options.h"

struct side_args {
	unsigned int sides; /* VPMU_SIDES_*; 0 = both */
};
extern const struct option_spec side_options[];

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Built without libiberty: names stay as the linker sees them. */
#include <stddef.h>

#include "sym/demangle.h"

char *demangle(const char *name)
{
	(void)name;
	return NULL;
}

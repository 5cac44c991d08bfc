/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libiberty's demanglers, in the order that its cplus_demangle() (which perf calls) tries them. They are called one by one
 * because cplus_demangle() drags in a malloc() that exits when memory runs out. libstdc++'s __cxa_demangle() would need
 * the C++ run time and cannot leave parameters out.
 */
#include <libiberty/demangle.h>
#include <stddef.h>

#include "sym/demangle.h"

char *demangle(const char *name)
{
	char *plain;

	if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R'))
		return NULL;
	plain = rust_demangle(name, DMGL_NO_OPTS);
	return plain ? plain : cplus_demangle_v3(name, DMGL_NO_OPTS);
}

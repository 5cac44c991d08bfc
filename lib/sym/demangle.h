/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* C++ and Rust names as people write them, without parameters, just as perf shows them: "ns::A<long>::spin". */
#ifndef SYM_DEMANGLE_H
#define SYM_DEMANGLE_H

/* Caller frees. NULL if @name is not mangled, or libvpmu was built without libiberty. */
char *demangle(const char *name);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a process gives up what it may do, for good. There are two kinds: the nursery only makes other processes, and looks at no guest; a
 * parser reads one guest's memory, which may have been made to take it over. What a parser can do then: answer nonsense about that guest,
 * use its share of CPU time and memory, end.
 *
 * No system call of a parser's opens, names or changes anything: it reads and writes what it has open, which is the one
 * socket, and asks for memory. Everything else ends it.
 */
#ifndef GUEST_CONFINE_H
#define GUEST_CONFINE_H

#include <stddef.h>

#define CONFINE_CPU_S	    60
#define CONFINE_MEMORY_BYTES (1ull << 30) /* address space, of which the program's own is a tenth; BTF may take 64 MiB */

/* No capabilities, no way to get any, nobody's user where it was root. Negative errno: it still could do something. */
int confine_rights(void);

/* After confine_rights(): system calls of a nursery; of one that may go on to be a parser, with its limits. */
int confine_nursery(void);
int confine_parser(void);

#endif

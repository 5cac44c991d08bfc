/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The call chains below one row of a report as a tree: callers under what they called. Chains
 * that share their inner frames share a branch.
 *
 *	60.10%  do_syscall_64
 *	        entry_SYSCALL_64
 *	        40.00%  __libc_read
 *	                main
 *	        20.10%  __libc_write
 */
#ifndef CLI_CALLTREE_H
#define CLI_CALLTREE_H

#include <vpmu/profile.h>
#include "util/strbuf.h"

/*
 * Rows below so many percent of their half have no tree, and branches below it are not worth a
 * line either.
 */
#define CALLTREE_MIN_PERCENT 0.05

/*
 * Appends the tree of row @i, indented by @indent. @callees: the report is of those. Percentages are of the row's half, like the
 * row's own. False if there is none: nothing called it, the row is too small, or the report has
 * no chains.
 */
bool calltree_print(const struct vpmu_report *report, size_t i, bool callees, unsigned int indent, struct strbuf *out);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tracefs says of tracepoints, in the form in which perf.data carries it (feature
 * TRACING_DATA): without it stock perf does not open a recording that has tracepoint events.
 *
 *	23 8 68 "tracing" "0.6\0"		magic, version
 *	u8 big-endian?  u8 sizeof(long)  u32 page size
 *	"header_page\0"  u64 n  n bytes		events/header_page
 *	"header_event\0" u64 n  n bytes		events/header_event
 *	u32 0					formats of the function tracer
 *	u32 systems, for each: name\0, u32 events, for each of these:
 *		u64 n  n bytes			events/SYSTEM/EVENT/format
 *	u32 0  u32 0  u64 0			kallsyms, printk formats, thread names
 *
 * The last three are left empty: perf does without.
 */
#ifndef HOST_TRACING_DATA_H
#define HOST_TRACING_DATA_H

#include <stddef.h>
#include "util/strbuf.h"

/*
 * Appends the formats of @names ("system:event", what follows a second colon is ignored) to @out.
 * Errors: what reading under @tracefs gave; -ENOMEM.
 */
int tracing_data_make(const char *tracefs, const char *const *names, size_t n, struct strbuf *out);

#endif

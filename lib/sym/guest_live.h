/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The symbols of a guest that runs on this host, read out of its memory (vpmu/introspect.h): its
 * kernel's, and those of the modules it has loaded by now.
 */
#ifndef SYM_GUEST_LIVE_H
#define SYM_GUEST_LIVE_H

#include <stdatomic.h>
#include <vpmu/guest.h>
#include "sym/guest_tables.h"
#include "util/cleanup.h"

struct guest_live;

/* NULL when out of memory. */
struct guest_live *guest_live_new(const struct vpmu_guest_info *info);
struct guest_live *guest_live_free(struct guest_live *live);
DEFINE_CLEANUP(struct guest_live *, guest_live_free)

/*
 * guest_live_types - a vmlinux with the type information that the guest's kernel may lack (kernel_types_load_file()), from the next look
 * on. One that does not fit is said then, and left out. NULL: none. Errors: -ENOMEM; -EBUSY (a look
 * was begun and is not over).
 */
int guest_live_types(struct guest_live *live, const char *path);

/*
 * Nobody will wait for what was begun: if it has not had its turn yet, it has none, and a parser that it waits for is left. To be called
 * before many are freed.
 */
void guest_live_cancel(struct guest_live *live);

/* Frees it, too, but waits for nothing: a look that goes on frees it when it ends. */
void guest_live_leave(struct guest_live *live);

/*
 * Begins to read in a thread of its own, unless one is at it: a tenth of a second or more is too long for somebody whose
 * rings fill up.
 */
void guest_live_begin(struct guest_live *live);

/* Whether what was begun is done: guest_live_read() will not wait. */
bool guest_live_ready(const struct guest_live *live);

/* Its memory was looked through, and there is no kernel in it. */
bool guest_live_is_not_linux(const struct guest_live *live);

/* The kernel that was found last, NULL if there was none; to be used by the thread that calls guest_live_read(), until then. */
struct vpmu_kernel *guest_live_kernel(struct guest_live *live);

/* The names of a guest's kernel. Both NULL: none. */
struct guest_names {
	struct shared_table *kernel;
	uint64_t kernel_gva; /* where its addresses begin */
	struct symtab *modules;
};
void guest_names_deinit(struct guest_names *names);

/*
 * What the guest has now, the caller's. The first call finds the kernel, which takes a
 * tenth of a second or, in a guest of many gigabytes, more; a kernel that has booted anew is found
 * again. What was begun before is waited for, and is the answer. Says at debug level why there is none. @until_ns: of
 * parser_processes_await_until(). Errors: as vpmu_kernel_open() and vpmu_kernel_each_symbol().
 */
int guest_live_read(struct guest_live *live, const atomic_uint_least64_t *until_ns, struct guest_names *ret_names);

#endif

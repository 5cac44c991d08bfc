/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What was there before the session: names and executable mappings of running processes, the
 * kernel and its modules, as the PERF_RECORDs that the kernel would have written, had we been
 * there. Read from /proc.
 *
 * To be read after the events were enabled: what is mapped in between is then seen twice, not
 * missed.
 */
#ifndef SESSION_SIDEBAND_H
#define SESSION_SIDEBAND_H

#include <sys/types.h>
#include "session/plan.h"
#include "util/strbuf.h"

/*
 * The kernel, by the address of _text, and its modules. Nothing if /proc/kallsyms hides addresses.
 */
int sideband_kernel(const struct plan *plan, const char *proc_path, struct strbuf *out);

/*
 * A process: the names of all its threads, its executable mappings. @proc_fd: /proc/PID. @time_ns:
 * when this is true from; 0 = always. 0, also if it is gone; -ENOMEM.
 */
int sideband_process(const struct plan *plan, int proc_fd, pid_t pid, uint64_t time_ns,
		     struct strbuf *out);

/* The name of one thread. */
int sideband_thread(const struct plan *plan, int proc_fd, pid_t pid, pid_t tid, uint64_t time_ns,
		    struct strbuf *out);

/* Every process under @proc_path. */
int sideband_all_processes(const struct plan *plan, const char *proc_path, struct strbuf *out);

#endif

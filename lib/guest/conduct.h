/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How guests let themselves be parsed. A guest that makes parsers fail gets one only so often, and the threads that empty rings
 * wait for one only so long, however slow it makes its answers. This is kept by process, for as long as we run, and not with what is known of
 * the guest's kernel: that is forgotten at a boot, and a guest can look as if it booted anew at any moment.
 *
 * May be called from any thread.
 */
#ifndef GUEST_CONDUCT_H
#define GUEST_CONDUCT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A parser of @guest's failed: until the pause is over, which doubles each time, there is no new one. Warns that @what happened the
 * first time, and returns whether it did: it is tried again for as long as the guest is there.
 */
bool conduct_failed(pid_t guest, const char *what);
bool conduct_is_paused(pid_t guest);

/* Whether a session's thread has time for another question; and what one took. */
bool conduct_may_ask(pid_t guest);
void conduct_took(pid_t guest, uint64_t ns);

#endif

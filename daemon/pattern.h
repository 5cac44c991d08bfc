/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How guests are meant: by name, in which * and ? stand for any characters; by UUID, in upper or lower case; or by the
 * process, "pid:N". A guest that was named "pid:7" by its owner is not meant by that.
 */
#ifndef DAEMON_PATTERN_H
#define DAEMON_PATTERN_H

#include <stdbool.h>
#include <sys/types.h>

/* @uuid: "" if it has none. @pid: 0 if it does not run. */
bool pattern_means(const char *pattern, const char *name, const char *uuid, pid_t pid);

#endif

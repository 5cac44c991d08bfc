/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Naming guests: to those who did not say which one they mean, and by process. */
#ifndef CLI_GUEST_NAMES_H
#define CLI_GUEST_NAMES_H

#include <vpmu/guest.h>
#include "output.h"
#include "remote.h"

/*
 * Names those that run. @more: what else could be done, "; -a records the whole host", or "".
 * Returns STATUS_USAGE.
 */
enum status say_which_guest(const struct vpmu_guests *guests, const char *more);

/* The same, of those that vpmud knows. */
enum status say_which_remote_guest(struct vpmu_client *client);

/* The guest whose process is @pid; NULL if it is none's. */
const char *guest_of_pid(const struct vpmu_guests *guests, pid_t pid);

#endif

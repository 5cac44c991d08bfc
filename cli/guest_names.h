/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For those who did not say which guest they mean. */
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

#endif

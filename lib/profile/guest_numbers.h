/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which guest of one profile is which of another. A UUID says it, whatever the guests are called: names are given anew, and a
 * name that was given again is another machine. Where one of the two has no UUID (a QEMU that was started by hand) its name has
 * to do.
 */
#ifndef PROFILE_GUEST_NUMBERS_H
#define PROFILE_GUEST_NUMBERS_H

#include "profile/profile.h"

/*
 * guest_numbers - a number for each guest of each profile; equal ones are one guest. *ret_numbers[i] is the caller's to free(), also
 * on failure. Errors: -ENOMEM.
 */
int guest_numbers(const struct profile_view views[2], uint32_t *ret_numbers[2]);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which guests a call means: patterns that the caller gave, among the guests that the caller may see. */
#ifndef DAEMON_GUEST_SELECT_H
#define DAEMON_GUEST_SELECT_H

#include "access.h"
#include "call.h"
#include "domains.h"

/* More of them, or longer ones, are no way to name guests, and would hold up others. */
#define GUEST_PATTERNS_MAX	1000
#define GUEST_PATTERN_BYTES_MAX 512

/*
 * guest_patterns - the list of strings in @parameter. 1 and *ret_patterns, an array of *ret_n to be freed, whose strings
 * belong to the call; 0 if there was something wrong with it and the call has been answered; -ENOMEM.
 */
int guest_patterns(struct call *call, const char *parameter, const char ***ret_patterns, size_t *ret_n);

/* Without patterns all are meant. */
bool guest_selected(const struct domain *domain, const struct access *access, const struct peer *peer,
		    const char *const *patterns, size_t n_patterns);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <strings.h>

#include "pattern.h"
#include "util/macro.h"

/*
 * Not fnmatch(3), for which brackets and backslashes mean something: names may hold them. When what follows a star
 * does not fit, only the last star tries again one further on, so the time is bounded by the product of the lengths.
 */
static bool glob_fits(const char *glob, const char *text)
{
	const char *star = NULL, *tried = text;

	while (*text) {
		if (*glob == '*') {
			star = ++glob;
			tried = text;
		} else if (*glob == '?' || *glob == *text) {
			glob++;
			text++;
		} else if (star) {
			glob = star;
			text = ++tried;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return !*glob;
}

bool pattern_means(const char *pattern, const char *name, const char *uuid, pid_t pid)
{
	char of_pid[32];

	if (starts_with(pattern, "pid:")) {
		snprintf(of_pid, sizeof(of_pid), "pid:%d", pid);
		return pid > 0 && streq(pattern, of_pid);
	}
	return (uuid[0] && strcasecmp(pattern, uuid) == 0) || glob_fits(pattern, name);
}

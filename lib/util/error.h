/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Filling struct vpmu_error. A function that fails says so once, where the cause is known:
 *
 *	return error_set(reterr, -ENOENT, "cannot open '%s': %s", path, strerror(ENOENT));
 *
 * Callers forward the negative code untouched.
 */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include <vpmu/error.h>
#include "util/macro.h"

/* Fills @err (may be NULL), clears its hint; returns @code. */
int error_set(struct vpmu_error *err, int code, const char *format, ...) _printf_(3, 4);

/* Adds what to try to an error that was set. */
void error_hint(struct vpmu_error *err, const char *format, ...) _printf_(2, 3);

/* "cannot WHAT 'SUBJECT': strerror". @code is a negative errno; returned. */
int error_errno(struct vpmu_error *err, int code, const char *what, const char *subject);

int error_oom(struct vpmu_error *err);

#endif

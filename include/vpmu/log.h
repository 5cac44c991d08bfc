/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tolerated trouble and decisions worth knowing ("no build-id in the file, matching by path"). Errors
 * are returned, never logged: a message here always belongs to a call that went on. Off by default.
 */
#ifndef VPMU_LOG_H
#define VPMU_LOG_H

#include <stdarg.h>
#include <vpmu/common.h>

enum vpmu_log_level { VPMU_LOG_WARN = 1, VPMU_LOG_DEBUG = 2 };

/* @format, @args: a message without a newline. Called from whichever thread is in the library. */
typedef void (*vpmu_log_fn)(enum vpmu_log_level level, const char *format, va_list args, void *data);

VPMU_BEGIN_DECLS

/*
 * vpmu_log_set - send messages up to @max_level to @fn; NULL turns them off.
 * Process-wide; not to be called while another thread is inside the library.
 */
VPMU_API void vpmu_log_set(vpmu_log_fn fn, void *data, enum vpmu_log_level max_level);

VPMU_END_DECLS

#endif

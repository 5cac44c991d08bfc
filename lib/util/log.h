/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <vpmu/log.h>
#include "util/macro.h"

/* Tolerated trouble: say "ignoring" or what was done instead. Never for a failure that is returned. */
void log_warn(const char *format, ...) _printf_(1, 2);
void log_debug(const char *format, ...) _printf_(1, 2);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What vpmud tells its administrator: one line each on standard error, with the priority that journald reads off its front when
 * it is journald that listens. A failure is said once, by who gives up on it.
 */
#ifndef DAEMON_SAY_H
#define DAEMON_SAY_H

#include <vpmu/error.h>
#include "util/macro.h"

void say_info(const char *format, ...) _printf_(1, 2);
void say_warning(const char *format, ...) _printf_(1, 2);
/* "TEXT (HINT)" */
void say_error(const struct vpmu_error *error);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A line on the terminal (standard error) that tells how far a command is, once it takes longer
 * than a second.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include "util/macro.h"

struct progress {
	bool on, shown;
	uint64_t begin_ns, last_ns;
};

uint64_t now_ns(void); /* monotonic */

void progress_begin(struct progress *p);
/* Is it time to show something? (False for ever if standard error is no terminal.) */
bool progress_due(struct progress *p);
void progress_show(struct progress *p, const char *format, ...) _printf_(2, 3);
/* Takes the line away. */
void progress_end(struct progress *p);
#define _progress_ __attribute__((cleanup(progress_end)))

#endif

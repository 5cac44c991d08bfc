/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ^C, a polite kill or a lost terminal end the measurement, not the program: what was seen is still
 * to be shown.
 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <signal.h>

extern volatile sig_atomic_t interrupted; /* the signal's number, once it came */

void interrupt_catch(void);

#endif

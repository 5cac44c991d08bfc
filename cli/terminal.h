/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that has the whole terminal: its second screen, no echo, keys as they are typed. Plain escape sequences that every
 * terminal of the last thirty years knows (xterm's), so that no library of terminals is needed.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include "util/strbuf.h"

/* Takes the terminal on standard output over; false if there is none that can be. */
bool terminal_open(void);
/* Gives it back as it was. */
void terminal_close(void);

/* As it is now: the user may change it at any time. */
void terminal_size(unsigned int *ret_rows, unsigned int *ret_columns);

/* A key that was typed; 0 if none was. */
int terminal_key(void);

/*
 * Shows @frame, as many lines as the terminal has, each ended by a newline, in place of what was there. It goes out in one
 * piece, so nothing flickers. Lines that are too long are cut by the terminal. @frame is cleared.
 */
void terminal_show(struct strbuf *frame);

/* ^Z: gives the terminal back, stops, takes it over again. */
void terminal_suspend(void);

#endif

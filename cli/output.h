/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data goes to standard output, talk to standard error. Colour is for terminals, and only if
 * NO_COLOR is not set.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <vpmu/error.h>
#include "command.h"
#include "util/strbuf.h"

enum tint { TINT_NONE, TINT_HEAD, TINT_HOT, TINT_WARM, TINT_GOOD, TINT_BAD, TINT_FAINT };

/* Once, before anything is written. */
void output_init(void);

/* Columns of the terminal on standard output; 0 if it is none: then nothing is cut. */
unsigned int output_width(void);
/* The terminal has another width by now. */
void output_set_width(unsigned int columns);

/* Begin and end of colour on standard output: empty strings unless it is a terminal. */
const char *output_tint(enum tint tint);
const char *output_plain(void);

/* Writes @text to standard output and clears it. */
void output_write(struct strbuf *text);

/* What was written goes out now: somebody waits for it. */
void output_flush(void);

/* Everything out; STATUS_FAILED, said, if it could not be written. */
enum status output_finish(void);

/* ---- talk: one line each, "vpmu COMMAND: TEXT" ---- */

void say_as(const char *command);

/* Says why something failed, with what to try in brackets; returns STATUS_FAILED. */
enum status say_error(const struct vpmu_error *error);

enum status say_oom(void);

/* "… (try 'vpmu help COMMAND')"; returns STATUS_USAGE. */
enum status say_usage(const char *format, ...) _printf_(1, 2);

void say_warning(const char *format, ...) _printf_(1, 2);

/* Without the command's name in front: results for a person. */
void say(const char *format, ...) _printf_(1, 2);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/io.h"
#include "output.h"
#include "text.h"

static const char *who;	/* the command that speaks; NULL before one is known */
static bool colour_out, colour_err;
static unsigned int width;
static int write_error;	/* the first one, negative errno */
static struct strbuf pending; /* small writes wait here */

#define PENDING_BYTES (128 * 1024)

static bool is_terminal(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && !(term && streq(term, "dumb"));
}

void output_init(void)
{
	const char *no_color = getenv("NO_COLOR");
	bool colour = !no_color || !*no_color; /* no-color.org: set and not empty */
	struct winsize size;

	colour_out = colour && is_terminal(STDOUT_FILENO);
	colour_err = colour && is_terminal(STDERR_FILENO);
	if (isatty(STDOUT_FILENO))
		width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 80;
}

unsigned int output_width(void)
{
	return width;
}

void output_set_width(unsigned int columns)
{
	width = columns;
}

const char *output_tint(enum tint tint)
{
	static const char *const codes[] = {
		[TINT_NONE] = "",	   [TINT_HEAD] = "\033[1m",  [TINT_HOT] = "\033[31m",
		[TINT_WARM] = "\033[33m", [TINT_GOOD] = "\033[32m", [TINT_BAD] = "\033[31m",
		[TINT_FAINT] = "\033[2m",
	};

	return colour_out ? codes[tint] : "";
}

const char *output_plain(void)
{
	return colour_out ? "\033[0m" : "";
}

static void write_out(const char *bytes, size_t n)
{
	if (n && write_error == 0)
		write_error = io_write_all(STDOUT_FILENO, bytes, n);
}

void output_flush(void)
{
	write_out(pending.text, pending.n);
	strbuf_clear(&pending);
}

void output_write(struct strbuf *text)
{
	if (text->failed && write_error == 0)
		write_error = -ENOMEM;
	if (pending.n + text->n > PENDING_BYTES)
		output_flush();
	if (text->n > PENDING_BYTES)
		write_out(text->text, text->n);
	else if (text->n)
		strbuf_add(&pending, text->text, text->n);
	strbuf_clear(text);
}

enum status output_finish(void)
{
	if (pending.failed && write_error == 0)
		write_error = -ENOMEM;
	output_flush();
	strbuf_deinit(&pending);
	/*
	 * Somebody who closed the pipe has seen enough: `vpmu report | head` is no failure worth
	 * words.
	 */
	if (write_error < 0 && write_error != -EPIPE)
		say_warning("cannot write standard output: %s", strerror(-write_error));
	return write_error < 0 ? STATUS_FAILED : STATUS_DONE;
}

void say_as(const char *command)
{
	who = command;
}

static void say_line(enum tint tint, bool name, const char *tail, const char *text)
{
	_strbuf_ struct strbuf line = {};

	output_flush(); /* so that data and talk on one terminal come in the order they were written */
	if (colour_err && tint == TINT_BAD)
		strbuf_adds(&line, "\033[1;31m");
	if (name)
		strbuf_addf(&line, who ? "vpmu %s:" : "vpmu:", who);
	if (colour_err && tint == TINT_BAD)
		strbuf_adds(&line, "\033[0m");
	if (name)
		strbuf_addc(&line, ' ');
	text_add_clean(&line, text);
	text_add_clean(&line, tail);
	strbuf_addc(&line, '\n');
	if (!line.failed)
		(void)io_write_all(STDERR_FILENO, line.text, line.n);
}

enum status say_error(const struct vpmu_error *error)
{
	char tail[sizeof(error->hint) + 4] = "";

	if (error->hint[0])
		snprintf(tail, sizeof(tail), " (%s)", error->hint);
	say_line(TINT_BAD, true, tail, error->text);
	return STATUS_FAILED;
}

enum status say_oom(void)
{
	say_line(TINT_BAD, true, "", "out of memory");
	return STATUS_FAILED;
}

#define FORMAT_LINE(line, format)                                                                  \
	do {                                                                                       \
		va_list args_;                                                                     \
		va_start(args_, format);                                                           \
		vsnprintf(line, sizeof(line), format, args_);                                      \
		va_end(args_);                                                                     \
	} while (0)

enum status say_usage(const char *format, ...)
{
	char line[1024], tail[64];

	FORMAT_LINE(line, format);
	snprintf(tail, sizeof(tail), who ? " (try 'vpmu help %s')" : " (try 'vpmu help')", who);
	say_line(TINT_BAD, true, tail, line);
	return STATUS_USAGE;
}

void say_warning(const char *format, ...)
{
	char line[1024];

	FORMAT_LINE(line, format);
	say_line(TINT_BAD, true, "", line);
}

void say(const char *format, ...)
{
	char line[1024];

	FORMAT_LINE(line, format);
	say_line(TINT_NONE, false, "", line);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "util/io.h"
#include "terminal.h"

#define SECOND_SCREEN "\033[?1049h"
#define FIRST_SCREEN  "\033[?1049l"
#define HIDE_CURSOR   "\033[?25l"
#define SHOW_CURSOR   "\033[?25h"
#define NO_WRAP	      "\033[?7l"
#define WRAP	      "\033[?7h"
#define HOME	      "\033[H"
#define CLEAR_LINE    "\033[K"

static bool is_open, has_keys;
static struct termios before;

static void put(const char *text)
{
	(void)io_write_all(STDOUT_FILENO, text, strlen(text));
}

/*
 * Keys come without Enter and are not echoed. ^C stays a signal; ^Z does not, since a stopped program could not give the
 * terminal back any more.
 */
static void take_keys(void)
{
	struct termios raw;

	has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
	if (!has_keys)
		return;
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

bool terminal_open(void)
{
	const char *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || !term || !*term || strcmp(term, "dumb") == 0)
		return false;
	take_keys();
	put(SECOND_SCREEN HIDE_CURSOR NO_WRAP);
	is_open = true;
	return true;
}

void terminal_close(void)
{
	if (!is_open)
		return;
	put(WRAP SHOW_CURSOR FIRST_SCREEN);
	if (has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	is_open = false;
}

void terminal_size(unsigned int *ret_rows, unsigned int *ret_columns)
{
	struct winsize size;

	*ret_rows = 24;
	*ret_columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
		*ret_rows = size.ws_row;
		*ret_columns = size.ws_col;
	}
}

int terminal_key(void)
{
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	unsigned char key;

	/* VMIN is of the terminal, which others share and may change: look before reading. */
	if (!has_keys || poll(&keys, 1, 0) <= 0 || read(STDIN_FILENO, &key, 1) != 1)
		return 0;
	return key;
}

void terminal_show(struct strbuf *frame)
{
	_strbuf_ struct strbuf out = {};
	const char *line = frame->text, *end;

	strbuf_adds(&out, HOME);
	for (; line && (end = strchr(line, '\n')); line = end + 1) {
		/* Before the text: behind it, the cursor stands on the last character of a line that is full. */
		strbuf_adds(&out, CLEAR_LINE);
		strbuf_add(&out, line, (size_t)(end - line));
		/* Behind the last line nothing: it would scroll. */
		if (end[1])
			strbuf_adds(&out, "\r\n");
	}
	if (!out.failed && !frame->failed)
		(void)io_write_all(STDOUT_FILENO, out.text, out.n);
	strbuf_clear(frame);
}

void terminal_suspend(void)
{
	terminal_close();
	raise(SIGTSTP);
	terminal_open();
}

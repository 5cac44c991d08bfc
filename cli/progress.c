/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "util/io.h"
#include "progress.h"

#define FIRST_NS  1000000000ull
#define REPEAT_NS 250000000ull

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void progress_begin(struct progress *p)
{
	*p = (struct progress){ .on = isatty(STDERR_FILENO), .begin_ns = now_ns() };
}

bool progress_due(struct progress *p)
{
	uint64_t now;

	if (!p->on)
		return false;
	now = now_ns();
	if (now - p->begin_ns < FIRST_NS || now - p->last_ns < REPEAT_NS)
		return false;
	p->last_ns = now;
	return true;
}

void progress_show(struct progress *p, const char *format, ...)
{
	char line[80]; /* one line even on a small terminal, or it could not be taken away */
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n < 0)
		return;
	p->shown = true;
	(void)io_write_all(STDERR_FILENO, "\r\033[K", 4);
	(void)io_write_all(STDERR_FILENO, line, MIN((size_t)n, sizeof(line) - 1));
}

void progress_end(struct progress *p)
{
	if (p->shown)
		(void)io_write_all(STDERR_FILENO, "\r\033[K", 4);
	p->shown = false;
}

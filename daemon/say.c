/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "say.h"

/* One write for a line: those of different threads do not mix. */
static void say(const char *priority, const char *format, va_list args)
{
	char line[1024];

	vsnprintf(line, sizeof(line), format, args);
	fprintf(stderr, "%s%s\n", getenv("JOURNAL_STREAM") ? priority : "vpmud: ", line);
}

void say_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(SD_INFO, format, args);
	va_end(args);
}

void say_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(SD_WARNING, format, args);
	va_end(args);
}

static void say_failure(const char *format, ...) _printf_(1, 2);

static void say_failure(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(SD_ERR, format, args);
	va_end(args);
}

void say_error(const struct vpmu_error *error)
{
	if (error->hint[0])
		say_failure("%s (%s)", error->text, error->hint);
	else
		say_failure("%s", error->text);
}

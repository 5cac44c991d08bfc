/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/error.h"

int error_set(struct vpmu_error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	err->hint[0] = '\0';
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	/* Names from guests and files may hold anything; an error is one line of printable text. */
	for (char *p = err->text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return code;
}

void error_hint(struct vpmu_error *err, const char *format, ...)
{
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	vsnprintf(err->hint, sizeof(err->hint), format, args);
	va_end(args);
}

int error_errno(struct vpmu_error *err, int code, const char *what, const char *subject)
{
	return error_set(err, code, "cannot %s '%s': %s", what, subject, strerror(-code));
}

int error_oom(struct vpmu_error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

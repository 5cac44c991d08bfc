/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/log.h"

static vpmu_log_fn log_fn;
static void *log_data;
static enum vpmu_log_level log_max;

VPMU_API void vpmu_log_set(vpmu_log_fn fn, void *data, enum vpmu_log_level max_level)
{
	log_fn = fn;
	log_data = data;
	log_max = max_level;
}

static void log_va(enum vpmu_log_level level, const char *format, va_list args)
{
	if (log_fn && level <= log_max)
		log_fn(level, format, args, log_data);
}

void log_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_va(VPMU_LOG_WARN, format, args);
	va_end(args);
}

void log_debug(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_va(VPMU_LOG_DEBUG, format, args);
	va_end(args);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of org.vpmu: who may call them, and which function carries them out. */
#include "methods.h"

static const struct method methods[] = {
	/* methods_guests.c */
	{ "ListGuests", RIGHT_READ, method_list_guests },
	{ "Subscribe", RIGHT_READ, method_subscribe, .streams = true, .only_more = true },
	/* methods_sessions.c, recordings.c */
	{ "StartSession", RIGHT_OPERATE, method_start_session },
	{ "StopSession", RIGHT_OPERATE, method_stop_session },
	{ "ListSessions", RIGHT_READ, method_list_sessions },
	{ "Record", RIGHT_OPERATE, method_record, .streams = true },
	/* methods_profiles.c; methods_top.c */
	{ "Report", RIGHT_READ, method_report, .streams = true },
	{ "Top", RIGHT_READ, method_top, .streams = true },
	{ "Diff", RIGHT_READ, method_diff, .streams = true },
	{ "Export", RIGHT_READ, method_export, .streams = true },
	/* methods_counters.c */
	{ "Counters", RIGHT_READ, method_counters, .streams = true },
	{ "Exits", RIGHT_READ, method_exits, .streams = true },
	{ "Time", RIGHT_READ, method_time, .streams = true },
	{ "Metrics", RIGHT_READ, method_metrics },
	/* methods_about.c */
	{ "Capabilities", RIGHT_READ, method_capabilities },
	{ "Stats", RIGHT_READ, method_stats },
};

const struct method *method_at(size_t i)
{
	return i < ARRAY_SIZE(methods) ? &methods[i] : NULL;
}

const struct method *method_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (streq(methods[i].name, name))
			return &methods[i];
	return NULL;
}

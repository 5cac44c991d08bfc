/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest_names.h"

enum status say_which_guest(const struct vpmu_guests *guests, const char *more)
{
	_strbuf_ struct strbuf names = {};

	for (size_t i = 0; i < vpmu_guests_count(guests); i++)
		strbuf_addf(&names, "%s%s", i ? ", " : "", vpmu_guests_get(guests, i)->name);
	if (!names.n)
		return say_usage("which guest? None was found to be running%s", more);
	return say_usage("which guest? Running: %s%s", names.text, more);
}

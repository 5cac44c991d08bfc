/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <vpmu/vpmu.h>

#include "util/error.h"
#include "util/macro.h"
#include "sides.h"

static int set_side(const struct option_spec *spec, const char *value, void *field,
		    struct vpmu_error *reterr)
{
	unsigned int *sides = field;

	(void)spec;
	if (streq(value, "guest"))
		*sides = VPMU_SIDES_GUEST;
	else if (streq(value, "host"))
		*sides = VPMU_SIDES_HOST;
	else if (streq(value, "both"))
		*sides = VPMU_SIDES_GUEST | VPMU_SIDES_HOST;
	else
		return error_set(reterr, -EINVAL, "is guest, host or both, not '%s'", value);
	return 0;
}

/* --guest --host is both, as in perf kvm. */
static int add_side(const struct option_spec *spec, const char *value, void *field,
		    struct vpmu_error *reterr)
{
	(void)value;
	(void)reterr;
	*(unsigned int *)field |= (unsigned int)spec->max;
	return 0;
}

const struct option_spec side_options[] = {
	{ .name = "side", .arg = "SIDE", .help = "guest, host or both (default both)", .set = set_side },
	{ .name = "guest", .help = "same as --side guest", .set = add_side, .max = VPMU_SIDES_GUEST,
	  .alternative = true },
	{ .name = "host", .help = "same as --side host", .set = add_side, .max = VPMU_SIDES_HOST,
	  .alternative = true },
	{},
};

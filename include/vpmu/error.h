/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What went wrong, in words. A fixed buffer, so that failing never needs memory: put one on the stack,
 * pass its address, print `text` (and `hint`, when there is one) if the call failed.
 */
#ifndef VPMU_ERROR_H
#define VPMU_ERROR_H

#include <vpmu/common.h>

struct vpmu_error {
	int code;	/* the negative errno that was returned */
	char text[512]; /* one line: what failed, on what, why; no newline, lower case */
	char hint[256]; /* what to try, or empty */
};

#endif

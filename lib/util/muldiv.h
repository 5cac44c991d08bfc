/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* a * b / c without losing digits on the way. */
#ifndef UTIL_MULDIV_H
#define UTIL_MULDIV_H

#include <stdint.h>

/* Rounded to the nearest; UINT64_MAX if the result does not fit. @c is not 0. */
static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 result = ((unsigned __int128)a * b + c / 2) / c;

	return result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}

#endif

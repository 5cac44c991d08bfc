/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/text.h"

#define NONE_16 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
#define LETTERS 255, 10, 11, 12, 13, 14, 15, 255, 255, 255, 255, 255, 255, 255, 255, 255

const uint8_t text_hex_digits[256] = {
	NONE_16, NONE_16, NONE_16,
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 255, 255, 255, 255, 255, /* '0' */
	LETTERS, NONE_16, LETTERS, NONE_16,			    /* 'A', 'a' */
	NONE_16, NONE_16, NONE_16, NONE_16, NONE_16, NONE_16, NONE_16, NONE_16,
};

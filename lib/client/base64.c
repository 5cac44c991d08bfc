/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "client/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *bytes, size_t n, char *text)
{
	const uint8_t *b = bytes;

	for (; n >= 3; n -= 3, b += 3) {
		*text++ = digits[b[0] >> 2];
		*text++ = digits[(b[0] & 3) << 4 | b[1] >> 4];
		*text++ = digits[(b[1] & 15) << 2 | b[2] >> 6];
		*text++ = digits[b[2] & 63];
	}
	if (n) {
		uint8_t second = n == 2 ? b[1] : 0;

		*text++ = digits[b[0] >> 2];
		*text++ = digits[(b[0] & 3) << 4 | second >> 4];
		*text++ = n == 2 ? digits[(second & 15) << 2] : '=';
		*text++ = '=';
	}
	*text = '\0';
}

/* 0 … 63, or 64 for what is no digit. */
static uint32_t value_of(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (uint32_t)(at - digits) : 64;
}

int base64_decode(const char *text, size_t n, void *bytes, size_t *ret_n)
{
	uint8_t *out = bytes;
	size_t padding = 0, written = 0;

	if (n % 4)
		return -EBADMSG;
	while (padding < 2 && padding < n && text[n - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < n; i += 4) {
		size_t n_digits = i + 4 == n ? 4 - padding : 4;
		uint32_t bits = 0;

		for (size_t j = 0; j < 4; j++) {
			uint32_t value = j < n_digits ? value_of(text[i + j]) : 0;

			if (value > 63)
				return -EBADMSG;
			bits = bits << 6 | value;
		}
		if (bits & ((1u << (8 * (4 - n_digits))) - 1))
			return -EBADMSG; /* two texts for the same bytes would be one too many */
		for (size_t j = 0; j + 1 < n_digits; j++)
			out[written++] = (uint8_t)(bits >> (16 - 8 * j));
	}
	*ret_n = written;
	return 0;
}

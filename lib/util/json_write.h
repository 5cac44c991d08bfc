/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON for files too large to be built in memory first: the caller writes the punctuation, this the strings. */
#ifndef UTIL_JSON_WRITE_H
#define UTIL_JSON_WRITE_H

#include "util/strbuf.h"

/* @s in quotes (RFC 8259, section 7). Bytes that are not UTF-8 become U+FFFD. */
void json_write_string(struct strbuf *b, const char *s);

#endif

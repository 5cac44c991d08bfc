/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/json_write.h"
#include "util/utf8.h"

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void json_write_string(struct strbuf *b, const char *s)
{
	size_t n = strlen(s), run;

	strbuf_addc(b, '"');
	while (n) {
		for (run = 0; run < n && is_plain((unsigned char)s[run]); run++)
			;
		strbuf_add(b, s, run);
		s += run;
		n -= run;
		if (n == 0)
			break;
		run = utf8_character(s, n);
		if (*s == '"' || *s == '\\')
			strbuf_addf(b, "\\%c", *s);
		else if (run == 1)
			strbuf_addf(b, "\\u%04x", (unsigned char)*s);
		else if (run > 1)
			strbuf_add(b, s, run);
		else
			strbuf_adds(b, "\xef\xbf\xbd");
		run = run ? run : 1;
		s += run;
		n -= run;
	}
	strbuf_addc(b, '"');
}

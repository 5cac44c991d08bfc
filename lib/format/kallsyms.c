/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hundred thousand lines are read every time a kernel's symbols are wanted, so there is no
 * scanf() here: an address is 16 table look-ups, and the rest of the line is found by memchr().
 */
#include <errno.h>

#include "format/kallsyms.h"
#include "format/text.h"

/* "ffffffff81000000 T _stext" or "ffffffffc0000000 t init\t[module]" */
static inline bool read_symbol(const char *p, const char *end, struct kallsyms_line *ret)
{
	const char *tab;

	ret->module = NULL;
	ret->module_bytes = 0;
	if (!text_hex(&p, end, &ret->address) || end - p < 4 || p[0] != ' ' || p[2] != ' ')
		return false;
	ret->type = p[1];
	ret->name = p + 3;
	if (end[-1] == ']') {
		tab = memchr(ret->name, '\t', (size_t)(end - ret->name));
		if (!tab || tab == ret->name || tab[1] != '[')
			return false;
		ret->module = tab + 2;
		ret->module_bytes = (uint32_t)(end - 1 - ret->module);
		end = tab;
	}
	ret->name_bytes = (uint32_t)(end - ret->name);
	return true;
}

int kallsyms_parse(const char *text, size_t n,
		   int (*fn)(const struct kallsyms_line *line, void *data), void *data,
		   size_t *ret_used, uint64_t *ret_bad)
{
	const char *p = text, *end = text + n, *newline;
	struct kallsyms_line line;
	uint64_t bad = 0;
	int r = 0;

	while (r == 0 && p < end) {
		newline = memchr(p, '\n', (size_t)(end - p));
		if (!newline)
			break;
		if (newline - p <= TEXT_LINE_MAX && read_symbol(p, newline, &line))
			r = fn(&line, data);
		else
			bad++;
		p = newline + 1;
	}
	*ret_used = (size_t)(p - text);
	if (ret_bad)
		*ret_bad = bad;
	return r;
}

/* "kvm 1138688 1 kvm_amd, Live 0xffffffffc0a00000 (O)" */
static bool read_module(const char *p, const char *end, struct modules_line *ret)
{
	uint64_t users;
	uint32_t bytes;
	const char *word;

	if (!text_word(&p, end, &ret->name, &ret->name_bytes))
		return false;
	if (!text_decimal(&p, end, &ret->size_bytes) || !text_char(&p, end, ' '))
		return false;
	/* "-" where modules cannot be unloaded. */
	if (!(text_decimal(&p, end, &users) || text_char(&p, end, '-')) || !text_char(&p, end, ' '))
		return false;
	if (!text_word(&p, end, &word, &bytes) || !text_word(&p, end, &word, &bytes))
		return false;
	return text_char(&p, end, '0') && text_char(&p, end, 'x') &&
	       text_hex(&p, end, &ret->address);
}

int modules_parse(const char *text, size_t n,
		  int (*fn)(const struct modules_line *line, void *data), void *data,
		  uint64_t *ret_bad)
{
	const char *end = text + n;
	struct modules_line line;
	uint64_t bad = 0;
	int r = 0;

	for (const char *p = text, *stop; r == 0 && p < end; p = stop + 1) {
		stop = text_line_end(p, end);
		if (stop - p <= TEXT_LINE_MAX && read_module(p, stop, &line))
			r = fn(&line, data);
		else
			bad++;
	}
	if (ret_bad)
		*ret_bad = bad;
	return r;
}

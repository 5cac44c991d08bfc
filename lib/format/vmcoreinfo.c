/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/vmcoreinfo.h"
#include "util/macro.h"

#define LINE_BYTES 128 /* the kernel writes at most 79 */

enum key { OSRELEASE, SWAPPER, STEXT, PHYS_BASE, LEVEL5, PAGE_SIZE, KEYS };

static const struct {
	const char *name;
	int base; /* of the number; 0 = a string */
} keys[KEYS] = {
	[OSRELEASE] = {"OSRELEASE", 0},
	[SWAPPER] = {"SYMBOL(swapper_pg_dir)", 16},
	[STEXT] = {"SYMBOL(_stext)", 16},
	[PHYS_BASE] = {"NUMBER(phys_base)", 10},
	[LEVEL5] = {"NUMBER(pgtable_l5_enabled)", 10},
	[PAGE_SIZE] = {"PAGESIZE", 10},
};

struct values {
	char release[65];
	int64_t numbers[KEYS];
	bool has[KEYS];
};

static void take_value(struct values *values, enum key key, const char *text)
{
	char *end;

	if (keys[key].base == 0) {
		values->has[key] = strlen(text) > 0 && strlen(text) < sizeof(values->release);
		snprintf(values->release, sizeof(values->release), "%s", text);
		return;
	}
	errno = 0;
	values->numbers[key] = keys[key].base == 16 ? (int64_t)strtoull(text, &end, 16) : strtoll(text, &end, 10);
	values->has[key] = end > text && !*end && errno == 0;
}

static void take_line(struct values *values, char *line)
{
	char *equals = strchr(line, '=');

	if (!equals)
		return;
	*equals = '\0';
	for (int key = 0; key < KEYS; key++)
		if (!values->has[key] && streq(line, keys[key].name))
			take_value(values, key, equals + 1);
}

static bool is_text(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] != '\n' && ((unsigned char)text[i] < ' ' || (unsigned char)text[i] >= 0x7f))
			return false;
	return true;
}

int vmcoreinfo_parse(const void *note, size_t n, struct vmcoreinfo *ret)
{
	static const char name[12] = "VMCOREINFO";
	const char *text = (const char *)note + VMCOREINFO_HEAD_BYTES;
	struct values values = {};
	uint32_t head[3];
	size_t text_bytes;

	if (n < VMCOREINFO_HEAD_BYTES)
		return -EBADMSG;
	memcpy(head, note, sizeof(head));
	text_bytes = head[1];
	if (head[0] != 11 || head[2] != 0 || memcmp((const char *)note + 12, name, sizeof(name)) != 0 ||
	    text_bytes > VMCOREINFO_TEXT_MAX || text_bytes > n - VMCOREINFO_HEAD_BYTES || !is_text(text, text_bytes))
		return -EBADMSG;
	for (size_t at = 0; at < text_bytes;) {
		const char *end = memchr(text + at, '\n', text_bytes - at);
		size_t length = end ? (size_t)(end - text) - at : text_bytes - at;
		char line[LINE_BYTES];

		if (length < sizeof(line)) {
			memcpy(line, text + at, length);
			line[length] = '\0';
			take_line(&values, line);
		}
		at += length + 1;
	}
	if (!values.has[OSRELEASE] || !values.has[SWAPPER] || !values.has[STEXT] || !values.has[PHYS_BASE] ||
	    (values.has[PAGE_SIZE] && values.numbers[PAGE_SIZE] != 4096))
		return -ENOENT;
	*ret = (struct vmcoreinfo){
		.swapper_pg_dir = (uint64_t)values.numbers[SWAPPER],
		.stext = (uint64_t)values.numbers[STEXT],
		.phys_base = values.numbers[PHYS_BASE],
		.levels = values.has[LEVEL5] && values.numbers[LEVEL5] ? 5 : 4,
	};
	memcpy(ret->release, values.release, sizeof(ret->release));
	return 0;
}

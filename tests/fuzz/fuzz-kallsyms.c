/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of /proc/kallsyms and of /proc/modules. Read in two pieces it must give what it gives in
 * one.
 */
#include "format/kallsyms.h"
#include "fuzz.h"
#include "util/hash.h"

struct seen {
	const char *text, *end;
	uint64_t lines, hash;
};

static int see_symbol(const struct kallsyms_line *line, void *data)
{
	struct seen *seen = data;

	HOLDS(line->name > seen->text && line->name_bytes > 0 &&
	      line->name + line->name_bytes < seen->end);
	seen->hash = hash_mix(seen->hash, hash_bytes(line->name, line->name_bytes) ^ line->address);
	if (line->module) {
		HOLDS(line->module + line->module_bytes < seen->end);
		seen->hash = hash_mix(seen->hash, hash_bytes(line->module, line->module_bytes));
	}
	seen->lines++;
	return 0;
}

static int see_module(const struct modules_line *line, void *data)
{
	const struct seen *seen = data;

	HOLDS(line->name >= seen->text && line->name_bytes > 0 &&
	      line->name + line->name_bytes < seen->end);
	touch(line->name, line->name_bytes);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	size_t cut = size ? bytes[0] % size : 0, used, used_first, used_rest;
	char *text = exact_copy(bytes, size);
	struct seen whole = { .text = text, .end = text + size }, pieces = whole;
	uint64_t bad, bad_first, bad_rest;

	HOLDS(kallsyms_parse(text, size, see_symbol, &whole, &used, &bad) == 0);
	HOLDS(used <= size && (used == size || !memchr(text + used, '\n', size - used)));
	HOLDS(kallsyms_parse(text, cut, see_symbol, &pieces, &used_first, &bad_first) == 0);
	HOLDS(kallsyms_parse(text + used_first, size - used_first, see_symbol, &pieces, &used_rest,
			     &bad_rest) == 0);
	HOLDS(whole.lines == pieces.lines && whole.hash == pieces.hash);
	HOLDS(used == used_first + used_rest && bad == bad_first + bad_rest);
	HOLDS(modules_parse(text, size, see_module, &whole, &bad) == 0);
	free(text);
	return 0;
}

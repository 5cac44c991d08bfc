/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of -h, from the same tables that options.c parses by. */
#include <string.h>

#include "command.h"

static void add_spelling(struct strbuf *out, const struct option_spec *spec)
{
	if (spec->letter)
		strbuf_addf(out, "-%c", spec->letter);
	else
		strbuf_addf(out, "--%s", spec->name);
	if (spec->arg)
		strbuf_addf(out, " %s", spec->arg);
}

void options_synopsis(const struct command *command, struct strbuf *out)
{
	strbuf_addf(out, "vpmu %s", command->name);
	for (const struct option_group *group = command->groups; group->specs; group++)
		for (const struct option_spec *spec = group->specs; spec->name; spec++) {
			strbuf_adds(out, spec->alternative ? " | " : spec->required ? " " : " [");
			add_spelling(out, spec);
			if (spec->required)
				continue;
			if (!spec[1].name || !spec[1].alternative)
				strbuf_addc(out, ']');
		}
	if (command->operands)
		strbuf_addf(out, " %s", command->operands);
}

/*
 * Appends @text in lines of at most @width columns; lines after the first are indented. Brackets
 * of a synopsis stay whole.
 */
static void add_filled(struct strbuf *out, const char *text, size_t column, size_t indent, size_t width)
{
	while (*text) {
		size_t n = 0, depth = 0;

		for (; text[n] && (depth || text[n] != ' '); n++)
			depth += (text[n] == '[') - (text[n] == ']' && depth);
		if (column > indent && column + 1 + n > width) {
			strbuf_addf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			strbuf_addc(out, ' ');
			column++;
		}
		strbuf_add(out, text, n);
		column += n;
		text += n;
		text += strspn(text, " ");
	}
	strbuf_addc(out, '\n');
}

void options_help(const struct command *command, unsigned int width, struct strbuf *out)
{
	_strbuf_ struct strbuf synopsis = {};
	const size_t text_column = 30;

	options_synopsis(command, &synopsis);
	if (synopsis.failed) {
		out->failed = true;
		return;
	}
	strbuf_adds(out, "usage: ");
	add_filled(out, synopsis.text, 7, 7, width);
	strbuf_addf(out, "\n%s\n\n", command->summary);
	for (const struct option_group *group = command->groups; group->specs; group++)
		for (const struct option_spec *spec = group->specs; spec->name; spec++) {
			size_t start = out->n;

			if (spec->letter)
				strbuf_addf(out, "  -%c, --%s", spec->letter, spec->name);
			else
				strbuf_addf(out, "      --%s", spec->name);
			if (spec->arg)
				strbuf_addf(out, " %s", spec->arg);
			if (out->n - start + 2 > text_column)
				strbuf_addf(out, "\n%*s", (int)text_column, "");
			else
				strbuf_addf(out, "%*s", (int)(text_column - (out->n - start)), "");
			add_filled(out, spec->help, text_column, text_column, width);
		}
}

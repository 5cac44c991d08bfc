/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "sym/named_table.h"

void named_table_deinit(struct named_table *t)
{
	symtab_free(t->table);
	free(t->names);
	*t = (struct named_table){};
}

void named_table_set(struct named_table *t, struct symtab *table)
{
	named_table_deinit(t);
	t->table = table;
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

const char *sym_string(struct intern *strings, const char *string)
{
	_free_ char *clean = NULL;
	uint32_t id;

	for (const char *p = string; *p; p++)
		if (is_control(*p)) {
			string = clean = strdup(string);
			break;
		}
	for (char *p = clean; p && *p; p++)
		if (is_control(*p))
			*p = '?';
	id = string ? intern_add(strings, string) : INTERN_FAILED;
	return intern_string(strings, id == INTERN_FAILED ? 0 : id);
}

bool named_table_lookup(struct named_table *t, struct intern *strings, uint64_t address,
			struct symbol *ret_symbol)
{
	if (!t->table || !symtab_lookup(t->table, address, ret_symbol))
		return false;
	if (!t->names)
		t->names = calloc(symtab_count(t->table), sizeof(*t->names));
	if (!t->names)
		return false;
	if (!t->names[ret_symbol->index])
		t->names[ret_symbol->index] = sym_string(strings, ret_symbol->name);
	ret_symbol->name = t->names[ret_symbol->index];
	return true;
}

const char *sym_module_dso(struct intern *strings, const char *module)
{
	char dso[128];

	if (!module[0])
		return sym_string(strings, "[kernel]");
	snprintf(dso, sizeof(dso), "[%s]", module);
	return sym_string(strings, dso);
}

void sym_frame_found(struct vpmu_frame *frame, const struct symbol *symbol, uint64_t address)
{
	frame->symbol = symbol->name;
	frame->symbol_offset = address - symbol->start;
	frame->status = VPMU_FRAME_OK;
}

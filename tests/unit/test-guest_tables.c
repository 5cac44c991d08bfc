/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vpmu/introspect.h>

#include "guest_maker.h"
#include "sym/guest_tables.h"
#include "util/macro.h"

/* What is told of a guest with the memory in `ram`. */
static struct shared_table *table_of_guest(uint64_t *ret_text_gva)
{
	struct vpmu_kernel *kernel = NULL;
	struct vpmu_error error = {};
	struct shared_table *shared = NULL;
	struct symtab *table;
	int fd;

	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = guest_write(&fd));
	CHECK_EQ(vpmu_kernel_open(NULL, &opts, &kernel, &error), 0);
	CHECK_EQ(guest_tables_kernel(kernel, &table, &error), 0);
	*ret_text_gva = vpmu_kernel_info(kernel)->text_gva;
	vpmu_kernel_free(kernel);
	close(fd);
	CHECK_EQ(shared_table_of(table, &shared, &error), 0);
	return shared;
}

/* KASLR has put the kernel 2 MiB higher this time. @form: one whose addresses follow from one number. */
static void move_kernel(void)
{
	uint64_t first = (MADE_TEXT_GVA & 0x3fffffff) >> 21;

	memmove(ram + MADE_LEVEL2_GPA + (first + 1) * 8, ram + MADE_LEVEL2_GPA + first * 8, 3 * 8);
	memset(ram + MADE_LEVEL2_GPA + first * 8, 0, 8);
	for (size_t at = MADE_TEXT_GPA; at < RAM_BYTES - 8; at += 8) {
		uint64_t word;

		memcpy(&word, ram + at, 8);
		if (word == MADE_TEXT_GVA)
			ram_put(at, MADE_TEXT_GVA + (2u << 20));
	}
}

TEST(guests_with_the_same_kernel_share_one_table)
{
	struct shared_table *a, *b, *c;
	uint64_t text_a, text_b, text_c;
	size_t one, bytes;

	guest_make(&kallsyms_forms[5], 4);
	a = table_of_guest(&text_a);
	CHECK_EQ(shared_tables_count(&one), 1);
	move_kernel();
	b = table_of_guest(&text_b);
	CHECK_EQ(text_b, text_a + (2u << 20));
	CHECK(a == b);
	CHECK_EQ(shared_tables_count(&bytes), 1);
	CHECK_EQ(bytes, one);

	/* Another kernel that claims the same build-id does not get in between. */
	guest_make(&kallsyms_forms[0], 4);
	c = table_of_guest(&text_c);
	CHECK(c != a);
	CHECK_EQ(shared_tables_count(&bytes), 2);
	shared_table_unref(a);
	shared_table_unref(c);
	CHECK_EQ(shared_tables_count(&bytes), 1);
	shared_table_unref(b);
	CHECK_EQ(shared_tables_count(&bytes), 0);
}

static struct symtab *table_with(uint64_t start, const char *name, const char *module)
{
	struct symtab_builder *builder = symtab_builder_new();
	struct symtab *table;

	CHECK_EQ(symtab_builder_add(builder, start, 16, 'T', name, strlen(name), module, strlen(module)), 0);
	CHECK_EQ(symtab_builder_finish(builder, NULL, 0, &table), 0);
	symtab_builder_free(builder);
	return table;
}

TEST(tables_are_joined_for_recordings)
{
	struct symtab *kernel = table_with(0x100, "schedule", ""), *modules = table_with(0xffffffffc0000000, "kvm_run", "kvm");
	struct symtab *both;
	struct symbol symbol;

	CHECK_EQ(guest_tables_join(kernel, 0xffffffff81000000, modules, &both), 0);
	CHECK(symtab_lookup(both, 0xffffffff81000104, &symbol));
	CHECK_STR(symbol.name, "schedule");
	CHECK(symtab_lookup(both, 0xffffffffc0000001, &symbol));
	CHECK_STR(symbol.module, "kvm");
	symtab_free(both);
	/* An address beyond the end of all addresses is none. */
	CHECK_EQ(guest_tables_join(modules, 0xffffffff81000000, kernel, &both), 0);
	CHECK_EQ(symtab_count(both), 1);
	symtab_free(both);
	symtab_free(kernel);
	symtab_free(modules);
}

/* A table of some 16 MiB, another one for each @start. */
static struct symtab *large_table(uint64_t start)
{
	static char name[4096];
	struct symtab_builder *builder = symtab_builder_new();
	struct symtab *table;

	memset(name, 'x', sizeof(name));
	for (uint64_t i = 0; i < 4096; i++) {
		snprintf(name, sizeof(name), "%08x", (unsigned int)i);
		name[8] = '_';
		CHECK_EQ(symtab_builder_add(builder, start + i * 16, 16, 'T', name, sizeof(name) - 1, NULL, 0), 0);
	}
	CHECK_EQ(symtab_builder_finish(builder, NULL, 0, &table), 0);
	symtab_builder_free(builder);
	return table;
}

TEST(all_guests_together_have_tables_of_so_much)
{
	struct shared_table *shared[64], *again;
	struct vpmu_error error = {};
	size_t n = 0, bytes;
	int r = 0;

	while (n < ARRAY_SIZE(shared) && r == 0) {
		r = shared_table_of(large_table(n), &shared[n], &error);
		n += r == 0;
	}
	CHECK_EQ(r, -ENOSPC);
	CHECK(strstr(error.text, "too many symbols"));
	CHECK_EQ(shared_tables_count(&bytes), n);
	/* One that is there already takes nothing; and one that goes makes room. */
	CHECK_EQ(shared_table_of(large_table(0), &again, NULL), 0);
	CHECK(again == shared[0]);
	shared_table_unref(again);
	shared_table_unref(shared[n - 1]);
	CHECK_EQ(shared_table_of(large_table(n), &shared[n - 1], NULL), 0);
	for (size_t i = 0; i < n; i++)
		shared_table_unref(shared[i]);
	CHECK_EQ(shared_tables_count(&bytes), 0);
	CHECK_EQ(bytes, 0);
}

int main(void)
{
	return test_main();
}

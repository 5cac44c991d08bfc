/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "format/kallsyms_tables.h"
#include "kallsyms_maker.h"
#include "test.h"

#define TEXT_GVA 0xffffffff9e000000ull
#define GVA	 (TEXT_GVA + 0x1200000)

static uint8_t made[KALLSYMS_BYTES];

struct expected {
	const struct kallsyms_form *form;
	uint32_t i;
};

static int check_symbol(const struct kallsyms_symbol *symbol, void *data)
{
	struct expected *expected = data;
	char name[256];
	uint64_t gva;

	CHECK(made_symbol(expected->form, TEXT_GVA, expected->i++, name, &gva));
	CHECK_EQ(symbol->gva, gva);
	CHECK_EQ(symbol->type, name[0]);
	CHECK_STR(symbol->name, name + 1);
	CHECK_EQ(symbol->name_bytes, strlen(name + 1));
	return 0;
}

TEST(each_form_gives_back_what_was_written)
{
	for (size_t f = 0; f < KALLSYMS_FORMS; f++) {
		struct expected expected = {&kallsyms_forms[f], 0};
		size_t n = make_kallsyms(expected.form, GVA, TEXT_GVA, made), tokens_at;
		struct kallsyms_tables tables;

		printf("%s\n", expected.form->name);
		tokens_at = kallsyms_tokens_find(made, n, 0, GVA);
		CHECK(tokens_at < n);
		CHECK_EQ(kallsyms_tables_parse(made, n, GVA, tokens_at, TEXT_GVA, &tables), 0);
		CHECK_EQ(kallsyms_tables_each(&tables, check_symbol, &expected), 0);
		CHECK_EQ(expected.i, made_count(expected.form));
	}
}

TEST(what_is_used_can_be_moved)
{
	for (size_t f = 0; f < KALLSYMS_FORMS; f++) {
		struct expected expected = {&kallsyms_forms[f], 0};
		size_t n = make_kallsyms(expected.form, GVA, TEXT_GVA, made);
		struct kallsyms_tables tables;
		uint8_t *copy;

		CHECK_EQ(kallsyms_tables_parse(made, n, GVA, kallsyms_tokens_find(made, n, 0, GVA),
					       TEXT_GVA, &tables),
			 0);
		copy = malloc(tables.used_to - tables.used_from);
		CHECK(copy);
		memcpy(copy, made + tables.used_from, tables.used_to - tables.used_from);
		memset(made, 0xff, sizeof(made));
		kallsyms_tables_rebase(&tables, copy);
		CHECK_EQ(kallsyms_tables_each(&tables, check_symbol, &expected), 0);
		CHECK_EQ(expected.i, made_count(expected.form));
		free(copy);
	}
}

TEST(another_kernels_table_is_refused)
{
	struct kallsyms_tables tables = {.n_symbols = 77};

	for (size_t f = 0; f < KALLSYMS_FORMS; f++) {
		size_t n = make_kallsyms(&kallsyms_forms[f], GVA, TEXT_GVA, made);
		size_t tokens_at = kallsyms_tokens_find(made, n, 0, GVA);

		CHECK_EQ(kallsyms_tables_parse(made, n, GVA, tokens_at, TEXT_GVA + 0x200000,
					       &tables),
			 -ENOENT);
		CHECK_EQ(tables.n_symbols, 77);
	}
}

TEST(a_table_that_is_cut_off_is_not_found_or_refused)
{
	struct kallsyms_tables tables;

	for (size_t f = 0; f < KALLSYMS_FORMS; f++) {
		size_t n = make_kallsyms(&kallsyms_forms[f], GVA, TEXT_GVA, made) - 64, tokens_at;
		size_t whole = kallsyms_tokens_find(made, n, 0, GVA);

		for (size_t cut = n - 8; cut > whole; cut -= 40) {
			uint8_t *part = malloc(cut);

			CHECK(part);
			memcpy(part, made, cut);
			tokens_at = kallsyms_tokens_find(part, cut, 0, GVA);
			if (tokens_at != SIZE_MAX && !kallsyms_forms[f].offsets_first)
				CHECK_EQ(kallsyms_tables_parse(part, cut, GVA, tokens_at, TEXT_GVA,
							       &tables),
					 -ENOENT);
			free(part);
		}
	}
}

TEST(digits_alone_are_no_token_table)
{
	size_t n = make_kallsyms(&kallsyms_forms[0], GVA, TEXT_GVA, made);
	size_t at = kallsyms_tokens_find(made, n, 0, GVA);

	/* "U" and "V" become one token: the index does not fit any more. */
	for (size_t i = at; i < n - 2; i++)
		if (made[i] == 'U' && made[i + 1] == '\0')
			made[i + 1] = 'U';
	CHECK_EQ(kallsyms_tokens_find(made, n, 0, GVA), SIZE_MAX);
	CHECK_EQ(kallsyms_tokens_find("0\0001\0002\0003\0004\0005\0006\0007\0008\0009", 20, 0, GVA),
		 SIZE_MAX);
}

/*
 * Names of three tokens each, all the same, whose bytes also say how many names there are: the table seems to begin at every fourth byte, and
 * each time it takes all of them to see that it does not. Where it would fit exactly, the number is wrong.
 */
#define EVERY_NAMES   0x0fff03u
#define EVERY_MARKERS 4096u
#define EVERY_BYTES   (133120u + EVERY_NAMES * 4 + EVERY_MARKERS * 4 + KALLSYMS_BYTES)

TEST(names_that_nearly_fit_from_everywhere_on_are_given_up)
{
	size_t n = make_kallsyms(&kallsyms_forms[6], GVA, TEXT_GVA, made), from = kallsyms_tokens_find(made, n, 0, GVA);
	size_t markers_at = (133120 + EVERY_NAMES * 4 + 7) & ~7u, tokens_at = markers_at + EVERY_MARKERS * 4;
	uint8_t *bytes = calloc(1, EVERY_BYTES);
	const uint32_t word = EVERY_NAMES, wrong = 0xffff03;
	struct kallsyms_tables tables;

	CHECK(bytes);
	tokens_at += from % 8;
	for (size_t at = 0; at < markers_at; at += 4)
		memcpy(bytes + at, at < markers_at - EVERY_NAMES * 4 && at + 12 >= markers_at - EVERY_NAMES * 4 ? &wrong : &word, 4);
	for (uint32_t i = 0, marker; i < EVERY_MARKERS; i++) {
		marker = i * 1024;
		memcpy(bytes + markers_at + i * 4, &marker, 4);
	}
	memcpy(bytes + tokens_at, made + from, n - from);
	CHECK_EQ(kallsyms_tokens_find(bytes, EVERY_BYTES, 0, GVA), tokens_at);
	CHECK_EQ(kallsyms_tables_parse(bytes, EVERY_BYTES, GVA, tokens_at, TEXT_GVA, &tables), -ENOENT);
	free(bytes);
}

int main(void)
{
	return test_main();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/mman.h>

#include "sym/symtab.h"
#include "sym/symtab_image.h"
#include "test.h"
#include "util/macro.h"

static void add(struct symtab_builder *b, uint64_t start, uint64_t size, char binding, const char *name,
		const char *module)
{
	CHECK_EQ(symtab_builder_add(b, start, size, binding, name, strlen(name), module,
				    module ? strlen(module) : 0), 0);
}

static struct symtab *finish(struct symtab_builder *b)
{
	struct symtab *table = NULL;

	CHECK_EQ(symtab_builder_finish(b, NULL, 0, &table), 0);
	symtab_builder_free(b);
	return table;
}

/* The name that covers @address, "-" if there is none. */
static const char *at(const struct symtab *table, uint64_t address)
{
	struct symbol symbol;

	return symtab_lookup(table, address, &symbol) ? symbol.name : "-";
}

TEST(an_empty_table_finds_nothing)
{
	_cleanup_(symtab_freep) struct symtab *table = finish(symtab_builder_new());

	CHECK_EQ(symtab_count(table), 0);
	CHECK_STR(at(table, 0), "-");
	CHECK_STR(at(table, UINT64_MAX), "-");
}

TEST(symbols_cover_their_range_and_no_more)
{
	struct symtab_builder *b = symtab_builder_new();

	add(b, 0x2000, 0x10, 'g', "second", NULL);
	add(b, 0x1000, 0x20, 'g', "first", NULL);
	_cleanup_(symtab_freep) struct symtab *table = finish(b);

	CHECK_STR(at(table, 0xfff), "-");
	CHECK_STR(at(table, 0x1000), "first");
	CHECK_STR(at(table, 0x101f), "first");
	CHECK_STR(at(table, 0x1020), "-");
	CHECK_STR(at(table, 0x200f), "second");
	CHECK_STR(at(table, 0x2010), "-");
}

TEST(a_symbol_without_size_ends_where_the_next_begins)
{
	struct symtab_builder *b = symtab_builder_new();
	struct symbol symbol;

	add(b, 0xffffffff81000000, 0, 'T', "one", NULL);
	add(b, 0xffffffff81000100, 0, 't', "two", NULL);
	add(b, 0xffffffffc0000000, 0, 't', "three", "kvm");
	_cleanup_(symtab_freep) struct symtab *table = finish(b);

	CHECK_STR(at(table, 0xffffffff810000ff), "one");
	/* The kernel's last one does not reach over to the modules: a page after its own. */
	CHECK_STR(at(table, 0xffffffff81001fff), "two");
	CHECK_STR(at(table, 0xffffffff81002000), "-");
	CHECK(symtab_lookup(table, 0xffffffffc0001000 - 1, &symbol));
	CHECK_STR(symbol.module, "kvm");
	CHECK_EQ(symbol.end, 0xffffffffc0001000);
}

TEST(a_module_of_known_size_ends_there)
{
	struct symtab_builder *b = symtab_builder_new();

	add(b, 0xffffffffc0000000, 0, 't', "a", "kvm");
	add(b, 0xffffffffc0000800, 0, 't', "b", "kvm");
	add(b, 0xffffffffc0100000, 0, 't', "c", "irqbypass");
	CHECK_EQ(symtab_builder_module_end(b, "kvm", 3, 0xffffffffc0006000), 0);
	CHECK_EQ(symtab_builder_module_end(b, "none", 4, 0xffffffffc0006000), 0);
	_cleanup_(symtab_freep) struct symtab *table = finish(b);

	CHECK_STR(at(table, 0xffffffffc0005fff), "b");
	CHECK_STR(at(table, 0xffffffffc0006000), "-");
}

TEST(modules_in_any_order_are_each_one)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *b = symtab_builder_new();
	_cleanup_(symtab_freep) struct symtab *table = NULL;
	enum { MODULES = 8000 };
	struct symbol symbol;
	char name[16];

	/* Twice around: more than there may be, were any taken for a new one. */
	for (uint64_t i = 0; i < 2 * MODULES; i++) {
		snprintf(name, sizeof(name), "m%u", (unsigned int)(i % MODULES));
		add(b, 0xffffffffc0000000 + i * 16, 16, 't', "f", name);
	}
	CHECK_EQ(symtab_builder_finish(b, NULL, 0, &table), 0);
	CHECK(symtab_lookup(table, 0xffffffffc0000000 + (MODULES + 77) * 16, &symbol));
	CHECK_STR(symbol.module, "m77");
}

TEST(a_guessed_end_gives_way_to_what_is_added_later)
{
	struct symtab_builder *b = symtab_builder_new();

	add(b, 0x1000, 0, 'g', "_init", NULL);
	add(b, 0x2000, 0x10, 'g', "_start", NULL);
	CHECK_EQ(symtab_builder_settle(b), 0);
	add(b, 0x1030, 0x10, 'g', "puts@plt", NULL);
	_cleanup_(symtab_freep) struct symtab *table = finish(b);

	CHECK_STR(at(table, 0x102f), "_init");
	CHECK_STR(at(table, 0x1030), "puts@plt");
	CHECK_STR(at(table, 0x1040), "-");
}

TEST(of_aliases_without_size_the_last_one_stays)
{
	struct symtab_builder *b = symtab_builder_new();

	add(b, 0x1000, 0, 'T', "a_long_global_name", NULL);
	add(b, 0x1000, 0, 'W', "__weak", NULL);
	add(b, 0x2000, 0, 'T', "next", NULL);
	_cleanup_(symtab_freep) struct symtab *table = finish(b);

	CHECK_STR(at(table, 0x1000), "__weak");
	CHECK_EQ(symtab_count(table), 2);
}

TEST(the_kernels_place_is_known_even_when_another_name_won)
{
	struct symtab_builder *b = symtab_builder_new();
	uint64_t address = 0;

	add(b, 0xffffffff81000000, 0, 'T', "_text", NULL);
	add(b, 0xffffffff81000000, 0, 'T', "startup_64", NULL);
	_cleanup_(symtab_freep) struct symtab *table = finish(b);

	CHECK_STR(at(table, 0xffffffff81000000), "startup_64");
	CHECK(symtab_reference(table, "_text", &address));
	CHECK_EQ(address, 0xffffffff81000000);
	CHECK(!symtab_reference(table, "_stext", &address));
	CHECK(!symtab_reference(table, "startup_64", &address));
}

TEST(of_aliases_with_size_the_better_one_stays)
{
	struct symtab_builder *b = symtab_builder_new();

	add(b, 0x1000, 4, 'w', "weak_but_long", NULL);
	add(b, 0x1000, 4, 'l', "local", NULL);
	add(b, 0x2000, 4, 'l', "local_long", NULL);
	add(b, 0x2000, 4, 'g', "global", NULL);
	add(b, 0x3000, 4, 'g', "__underscores", NULL);
	add(b, 0x3000, 4, 'g', "plain", NULL);
	add(b, 0x4000, 4, 'g', "longer", NULL);
	add(b, 0x4000, 4, 'g', "long", NULL);
	add(b, 0x5000, 0, 'g', "end_marker", NULL);
	add(b, 0x5000, 4, 'w', "sized", NULL);
	_cleanup_(symtab_freep) struct symtab *table = finish(b);

	CHECK_STR(at(table, 0x1000), "local");
	CHECK_STR(at(table, 0x2000), "global");
	CHECK_STR(at(table, 0x3000), "plain");
	CHECK_STR(at(table, 0x4000), "longer");
	CHECK_STR(at(table, 0x5000), "sized");
}

TEST(the_innermost_of_nested_symbols_is_found)
{
	struct symtab_builder *b = symtab_builder_new();

	add(b, 0x1000, 0x1000, 'g', "outer", NULL);
	add(b, 0x1100, 0x100, 'l', "inner", NULL);
	add(b, 0x1120, 0x10, 'l', "innermost", NULL);
	_cleanup_(symtab_freep) struct symtab *table = finish(b);

	CHECK_STR(at(table, 0x10ff), "outer");
	CHECK_STR(at(table, 0x1100), "inner");
	CHECK_STR(at(table, 0x112f), "innermost");
	CHECK_STR(at(table, 0x1130), "inner");
	CHECK_STR(at(table, 0x1200), "outer");
	CHECK_STR(at(table, 0x2000), "-");
}

/* Against a search that is too simple to be wrong: symbols of 8 bytes every 16, added in a scrambled order. */
TEST(lookups_in_a_shuffled_table_agree_with_arithmetic)
{
	enum { N = 10007 }; /* a prime: i * 7919 % N meets every number once */
	struct symtab_builder *b = symtab_builder_new();
	char name[32];

	for (uint64_t i = 0; i < N; i++) {
		uint64_t k = i * 7919 % N;

		snprintf(name, sizeof(name), "s%" PRIu64, k);
		add(b, 0x1000 + k * 16, 8, 'g', name, NULL);
	}
	_cleanup_(symtab_freep) struct symtab *table = finish(b);

	CHECK_EQ(symtab_count(table), N);
	for (uint64_t address = 0xff0; address < 0x1000 + N * 16 + 32; address += 3) {
		uint64_t k = (address - 0x1000) / 16;

		snprintf(name, sizeof(name), "s%" PRIu64, k);
		CHECK_STR(at(table, address),
			  address >= 0x1000 && k < N && address % 16 < 8 ? name : "-");
	}
}

TEST(an_image_opens_again_with_its_meta_bytes)
{
	struct symtab_builder *b = symtab_builder_new();
	struct symtab *table, *copy;
	struct symbol symbol;
	size_t n, meta_bytes;

	add(b, 0x1000, 0, 'T', "one", "m");
	CHECK_EQ(symtab_builder_finish(b, "key", 3, &table), 0);
	symtab_builder_free(b);
	const void *image = symtab_image(table, &n);

	CHECK_EQ(symtab_open(image, n, false, &copy), 0);
	table = symtab_free(table);
	CHECK_EQ(memcmp(symtab_meta(copy, &meta_bytes), "key", 4), 0);
	CHECK_EQ(meta_bytes, SYMTAB_META_BYTES);
	CHECK(symtab_find(copy, "one", &symbol));
	CHECK_EQ(symbol.start, 0x1000);
	CHECK_STR(symbol.module, "m");
	CHECK(!symtab_find(copy, "two", &symbol));
	symtab_free(copy);
}

TEST(an_image_of_any_other_length_is_refused)
{
	struct symtab_builder *b = symtab_builder_new();
	struct symtab *copy = NULL;
	char bytes[512];
	size_t n;

	add(b, 0x1000, 8, 'T', "one", NULL);
	add(b, 0x2000, 8, 'T', "two", NULL);
	_cleanup_(symtab_freep) struct symtab *table = finish(b);
	const void *image = symtab_image(table, &n);

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, image, n);
	for (size_t i = 0; i < sizeof(bytes); i++)
		if (i != n)
			CHECK_EQ(symtab_open(bytes, i, false, &copy), -EBADMSG);
	CHECK(!copy);
}

/* Whatever single byte is damaged, the table either is refused or can be searched without harm (run with sanitizers). */
TEST(a_damaged_image_is_refused_or_harmless)
{
	struct symtab_builder *b = symtab_builder_new();
	unsigned int refused = 0;
	size_t n;

	add(b, 0x1000, 0x1000, 'T', "one", NULL);
	add(b, 0x1100, 8, 'T', "two", "kvm");
	_cleanup_(symtab_freep) struct symtab *table = finish(b);
	const uint8_t *image = symtab_image(table, &n);

	for (size_t i = 0; i < n * 8; i++) {
		struct symtab *copy = NULL;
		struct symbol symbol;
		_free_ uint8_t *bytes = malloc(n);

		memcpy(bytes, image, n);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		if (symtab_open(bytes, n, false, &copy) < 0) {
			refused++;
			continue;
		}
		for (uint64_t address = 0xf80; address < 0x2100; address += 64)
			if (symtab_lookup(copy, address, &symbol))
				CHECK(strlen(symbol.name) + strlen(symbol.module) < n);
		symtab_free(copy);
	}
	CHECK_CMP(refused, >, 100);
}

static bool is_mapped(const void *address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	bool found = false;
	char line[512];

	while (fgets(line, sizeof(line), maps))
		found |= sscanf(line, "%lx-%lx", &start, &end) == 2 && start <= (uintptr_t)address &&
			 (uintptr_t)address < end;
	fclose(maps);
	return found;
}

TEST(a_mapped_image_is_unmapped_whatever_happens)
{
	struct symtab *table = NULL;
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(is_mapped(map));
	CHECK_EQ(symtab_open(map, 4096, true, &table), -EBADMSG);
	CHECK(!is_mapped(map));
}

TEST(a_subset_answers_in_its_pages_as_the_whole_does)
{
	struct symtab_builder *b = symtab_builder_new();
	const uint64_t pages[] = { 3, 4, 9 };
	_cleanup_(symtab_freep) struct symtab *part = NULL;
	size_t found = 0;

	add(b, 0x1000, 0, 'T', "_text", NULL);
	add(b, 0x1800, 0x3000, 'T', "reaches_over_pages", NULL);
	for (uint64_t start = 0x2000; start < 0x20000; start += 0x140)
		add(b, start, 0x100, 'T', "some", NULL);
	_cleanup_(symtab_freep) struct symtab *whole = finish(b);

	CHECK_EQ(symtab_subset(whole, pages, 3, &part), 0);
	for (uint64_t address = 0; address < 0x30000; address += 8) {
		struct symbol a, c;
		bool in = symtab_lookup(whole, address, &a);

		if (address >> 12 != 3 && address >> 12 != 4 && address >> 12 != 9)
			continue;
		CHECK_EQ(symtab_lookup(part, address, &c), in);
		if (!in)
			continue;
		CHECK_EQ(a.start, c.start);
		CHECK_STR(a.name, c.name);
		found++;
	}
	CHECK_CMP(found, >, 1000);
	CHECK_CMP(symtab_count(part), <, 50);
}

TEST(a_subset_of_no_pages_is_empty_and_opens)
{
	struct symtab_builder *b = symtab_builder_new();
	_cleanup_(symtab_freep) struct symtab *part = NULL, *again = NULL;
	const void *image;
	size_t n;

	add(b, 0x1000, 0x10, 'T', "_text", NULL);
	_cleanup_(symtab_freep) struct symtab *whole = finish(b);

	CHECK_EQ(symtab_subset(whole, NULL, 0, &part), 0);
	image = symtab_image(part, &n);
	CHECK_EQ(symtab_open(image, n, false, &again), 0);
	CHECK_EQ(symtab_count(again), 0);
}

int main(void)
{
	return test_main();
}

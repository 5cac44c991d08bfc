/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The C library's functions, out of its loaded parts alone, against where they are in this process. */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>

#include "format/elf_dynamic.h"
#include "format/elf_head.h"
#include "test.h"
#include "util/io.h"
#include "util/macro.h"

struct library {
	char *bytes;
	size_t n;
	struct elf_layout layout;
	struct elf_dynamic dynamic;
	uint32_t n_symbols;
};

static void *at(const struct library *library, uint64_t address, uint64_t n)
{
	uint64_t offset;

	CHECK(elf_layout_offset(&library->layout, address, &offset));
	CHECK(offset <= library->n && n <= library->n - offset);
	return library->bytes + offset;
}

static struct library read_library(void)
{
	struct library library = {};
	Dl_info info;

	CHECK(dladdr((void *)memfrob, &info));
	CHECK_EQ(io_read_file(AT_FDCWD, info.dli_fname, 64 << 20, &library.bytes, &library.n), 0);
	CHECK_EQ(elf_layout_parse(library.bytes, ELF_HEAD_BYTES, &library.layout), 0);
	CHECK_EQ(elf_dynamic_parse(at(&library, library.layout.dynamic, library.layout.dynamic_bytes),
				   (size_t)library.layout.dynamic_bytes, &library.dynamic), 0);
	CHECK(library.dynamic.gnu_hash);
	library.n_symbols = elf_dynamic_count(at(&library, library.dynamic.gnu_hash, 4096), 1 << 16, true);
	return library;
}

struct wanted {
	const char *name;
	uint64_t offset;
	int found, seen;
};

static int see(const struct elf_dynamic_symbol *symbol, void *data)
{
	struct wanted *wanted = data;

	wanted->seen++;
	if (strcmp(symbol->name, wanted->name) != 0)
		return 0;
	CHECK_EQ(symbol->offset_bytes, wanted->offset);
	CHECK(symbol->n_bytes > 0);
	CHECK_EQ(symbol->binding, 'g');
	wanted->found++;
	return 0;
}

/* Where it lies in the file: one of the library's segments has it. */
static uint64_t offset_of(const struct library *library, const void *function)
{
	uint64_t offset;
	Dl_info info;

	CHECK(dladdr(function, &info));
	CHECK(elf_layout_offset(&library->layout, (uint64_t)((const char *)function - (const char *)info.dli_fbase), &offset));
	return offset;
}

TEST(functions_of_the_c_library_are_where_they_are)
{
	struct library library = read_library();
	struct wanted wanted = {.name = "memfrob", .offset = offset_of(&library, (void *)memfrob)};
	const void *symbols = at(&library, library.dynamic.symbols, (uint64_t)library.n_symbols * ELF_SYMBOL_BYTES);
	const char *strings = at(&library, library.dynamic.strings, library.dynamic.strings_bytes);

	CHECK_EQ(elf_dynamic_each(&library.layout, symbols, library.n_symbols, strings, library.dynamic.strings_bytes,
				  see, &wanted), 0);
	CHECK_EQ(wanted.found, 1);
	CHECK(wanted.seen > 1000);
	free(library.bytes);
}

TEST(names_that_are_not_all_there_are_none)
{
	struct library library = read_library();
	struct wanted all = {.name = ""}, rest = {.name = ""};
	const void *symbols = at(&library, library.dynamic.symbols, (uint64_t)library.n_symbols * ELF_SYMBOL_BYTES);
	char *strings = at(&library, library.dynamic.strings, library.dynamic.strings_bytes);

	elf_dynamic_each(&library.layout, symbols, library.n_symbols, strings, library.dynamic.strings_bytes, see, &all);
	memset(strings + 4096, ELF_DYNAMIC_ABSENT, 4096);
	elf_dynamic_each(&library.layout, symbols, library.n_symbols, strings, library.dynamic.strings_bytes, see, &rest);
	CHECK(rest.seen > 0);
	CHECK(rest.seen < all.seen);
	free(library.bytes);
}

TEST(a_hash_table_that_is_cut_short_tells_of_fewer)
{
	struct library library = read_library();
	const void *hash = at(&library, library.dynamic.gnu_hash, 4096);
	uint32_t before = 0;

	for (size_t n = 0; n <= 1 << 16; n += 4096) {
		uint32_t count = elf_dynamic_count(hash, n, true);

		CHECK(count >= before && count <= library.n_symbols);
		before = count;
	}
	CHECK_EQ(before, library.n_symbols);
	free(library.bytes);
}

int main(void)
{
	return test_main();
}

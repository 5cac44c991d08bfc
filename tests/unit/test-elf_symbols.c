/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF files made to cost: small ones that would have their reader search or store without end. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sym/elf_symbols.h"
#include "test.h"
#include "util/io.h"
#include "util/macro.h"
#include "util/strbuf.h"

static const char section_names[] = "\0.text\0.symtab\0.strtab";

static void put(struct strbuf *b, const void *bytes, size_t n)
{
	strbuf_add(b, bytes, n);
}

/* One file: segments, then symbols of which number i is called by what stands @stride * i bytes into @strings. */
static void make(struct strbuf *b, size_t n_segments, size_t n_symbols, size_t stride, const char *strings,
		 size_t n_strings)
{
	size_t symbols_at = sizeof(Elf64_Ehdr) + n_segments * sizeof(Elf64_Phdr);
	size_t strings_at = symbols_at + n_symbols * sizeof(Elf64_Sym), names_at = strings_at + n_strings;
	Elf64_Ehdr header = { .e_ident = ELFMAG, .e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
			      .e_phoff = sizeof(header), .e_shoff = names_at + sizeof(section_names),
			      .e_ehsize = sizeof(header), .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = (uint16_t)n_segments, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 5,
			      .e_shstrndx = 4 };
	Elf64_Phdr segment = { .p_type = PT_LOAD, .p_vaddr = 0x10, .p_memsz = 1, .p_filesz = 1 };
	Elf64_Shdr sections[5] = {
		[1] = { .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_size = 64 },
		[2] = { .sh_name = 7, .sh_type = SHT_SYMTAB, .sh_offset = symbols_at, .sh_link = 3,
			.sh_size = strings_at - symbols_at, .sh_entsize = sizeof(Elf64_Sym) },
		[3] = { .sh_name = 15, .sh_type = SHT_STRTAB, .sh_offset = strings_at, .sh_size = n_strings },
		[4] = { .sh_name = 15, .sh_type = SHT_STRTAB, .sh_offset = names_at, .sh_size = sizeof(section_names) },
	};

	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	put(b, &header, sizeof(header));
	for (size_t i = 0; i < n_segments; i++)
		put(b, &segment, sizeof(segment));
	for (size_t i = 0; i < n_symbols; i++) {
		Elf64_Sym symbol = { .st_name = (uint32_t)(1 + stride * i), .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
				     .st_shndx = 1, .st_value = 0x1000 + 16 * i, .st_size = 16 };

		put(b, &symbol, sizeof(symbol));
	}
	put(b, strings, n_strings);
	put(b, section_names, sizeof(section_names));
	put(b, sections, sizeof(sections));
}

/* What elf_symbols() says of it; *ret_n: how many symbols came out. */
static int symbols_of(struct strbuf *b, size_t *ret_n)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	struct symtab *table = NULL;
	int r;

	elf_version(EV_CURRENT);
	file.elf = elf_memory(b->text, b->n);
	CHECK(file.elf && elf_kind(file.elf) == ELF_K_ELF);
	r = elf_symbols(&file, &file, ELF_FILE_OFFSETS, 0, &table);
	*ret_n = table ? symtab_count(table) : 0;
	symtab_free(table);
	return r;
}

TEST(a_usual_file_gives_its_symbols)
{
	static const char strings[] = "\0a\0b\0c";
	_strbuf_ struct strbuf b = {};
	size_t n;

	make(&b, 4, 3, 2, strings, sizeof(strings));
	CHECK_EQ(symbols_of(&b, &n), 0);
	CHECK_EQ(n, 3);
}

TEST(thousands_of_segments_are_refused)
{
	static const char strings[] = "\0a";
	_strbuf_ struct strbuf b = {};
	size_t n;

	make(&b, 60000, 1, 0, strings, sizeof(strings));
	CHECK_EQ(symbols_of(&b, &n), -E2BIG);
}

/* Each symbol's name is the rest of one long string: 20 thousand of them would be a gigabyte. */
TEST(names_that_are_one_string_are_not_stored_for_each_symbol)
{
	enum { LENGTH = 80000, SYMBOLS = 20000 };
	_free_ char *strings = malloc(LENGTH);
	_strbuf_ struct strbuf b = {};
	size_t n;

	memset(strings, 'x', LENGTH);
	strings[0] = strings[LENGTH - 1] = '\0';
	make(&b, 1, SYMBOLS, 1, strings, LENGTH);
	CHECK_EQ(symbols_of(&b, &n), -E2BIG);
}

TEST(a_file_that_is_mostly_holes_is_read_from_its_owner_only)
{
	static const char strings[] = "\0a";
	char path[] = "/tmp/vpmu-test-XXXXXX";
	int fd = mkstemp(path);
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	_strbuf_ struct strbuf b = {};

	make(&b, 1, 1, 0, strings, sizeof(strings));
	CHECK_EQ(io_write_all(fd, b.text, b.n), 0);
	CHECK_EQ(ftruncate(fd, 1 << 30), 0);
	CHECK_EQ(fchmod(fd, 0666), 0); /* anybody's */
	CHECK_EQ(elf_file_open(path, &file), -EFBIG);
	CHECK_EQ(fchmod(fd, 0600), 0);
	CHECK_EQ(elf_file_open(path, &file), 0);
	CHECK_EQ(unlink(path), 0);
	close(fd);
}

int main(void)
{
	return test_main();
}

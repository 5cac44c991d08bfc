/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lines of this program, and of copies of it that lie about how large they are. */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>

#include "sym/lines.h"
#include "test.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/macro.h"

static char *image;
static size_t image_bytes;

static Elf64_Shdr *section_of(const char *name)
{
	Elf64_Ehdr *header = (void *)image;
	Elf64_Shdr *sections = (void *)(image + header->e_shoff);
	const char *names = image + sections[header->e_shstrndx].sh_offset;

	for (int i = 0; i < header->e_shnum; i++)
		if (streq(names + sections[i].sh_name, name))
			return &sections[i];
	skip("this program has no section of that name: made without -g");
}

/* What reading the lines of @image gives. */
static int lines_of_image(void)
{
	char path[] = "/tmp/vpmu-test-XXXXXX";
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	struct lines *lines = NULL;
	int fd = mkstemp(path), r;

	CHECK_EQ(io_write_all(fd, image, image_bytes), 0);
	close(fd);
	CHECK_EQ(elf_file_open(path, &file), 0);
	unlink(path);
	r = lines_new(&file, &ELF_FILE_NONE, &lines);
	lines_free(lines);
	return r;
}

TEST(lines_are_read)
{
	section_of(".debug_line");
	CHECK_EQ(lines_of_image(), 0);
}

TEST(sections_that_claim_to_unpack_to_gigabytes_are_not_unpacked)
{
	Elf64_Shdr *section = section_of(".debug_line");
	const Elf64_Chdr claim = { .ch_type = ELFCOMPRESS_ZLIB, .ch_size = UINT64_C(3) << 30, .ch_addralign = 1 };

	section->sh_flags |= SHF_COMPRESSED;
	memcpy(image + section->sh_offset, &claim, sizeof(claim));
	CHECK_EQ(lines_of_image(), -EFBIG);
}

TEST(nor_such_in_the_old_format)
{
	Elf64_Ehdr *header = (void *)image;
	Elf64_Shdr *sections = (void *)(image + header->e_shoff), *section = section_of(".debug_line");
	uint64_t claim = htobe64(UINT64_C(3) << 30);

	memcpy(image + sections[header->e_shstrndx].sh_offset + section->sh_name, ".zdebug_lin", strlen(".zdebug_lin") + 1);
	memcpy(image + section->sh_offset, "ZLIB", 4);
	memcpy(image + section->sh_offset + 4, &claim, sizeof(claim));
	CHECK_EQ(lines_of_image(), -EFBIG);
}

int main(void)
{
	int result;

	CHECK_EQ(io_read_file(AT_FDCWD, "/proc/self/exe", 256u << 20, &image, &image_bytes), 0);
	result = test_main();
	free(image);
	return result;
}

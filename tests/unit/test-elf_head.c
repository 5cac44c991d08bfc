/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "format/elf_head.h"
#include "sym/elf_file.h"
#include "test.h"

/* This program's own first page. */
static void read_own(uint8_t bytes[ELF_HEAD_BYTES])
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ(read(fd, bytes, ELF_HEAD_BYTES), ELF_HEAD_BYTES);
	close(fd);
}

TEST(the_build_id_is_the_one_that_libelf_finds)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	uint8_t bytes[ELF_HEAD_BYTES];
	struct elf_head head;

	read_own(bytes);
	CHECK_EQ(elf_head_parse(bytes, sizeof(bytes), &head), 0);
	CHECK_EQ(elf_file_open("/proc/self/exe", &file), 0);
	CHECK_EQ(head.build_id_bytes, file.build_id.n);
	CHECK_EQ(memcmp(head.build_id, file.build_id.bytes, file.build_id.n), 0);
}

TEST(what_is_detached_has_its_segments_and_no_sections)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	uint8_t bytes[ELF_HEAD_BYTES];
	struct elf_head head;
	size_t n;

	read_own(bytes);
	CHECK_EQ(elf_head_parse(bytes, sizeof(bytes), &head), 0);
	elf_head_detach(bytes, &head);
	elf_version(EV_CURRENT);
	file.elf = elf_memory((char *)bytes, sizeof(bytes));
	CHECK(file.elf);
	CHECK_EQ(elf_getphdrnum(file.elf, &n), 0);
	CHECK_EQ(n, head.n_segments);
	CHECK(!elf_file_has_symbols(&file, SHT_SYMTAB));
}

TEST(what_is_no_elf_file_is_refused)
{
	uint8_t bytes[ELF_HEAD_BYTES] = {};
	struct elf_head head = { .n_segments = 77 };

	CHECK_EQ(elf_head_parse(bytes, sizeof(bytes), &head), -EBADMSG);
	read_own(bytes);
	for (size_t n = 0; n < 64 + 56; n++)
		CHECK_EQ(elf_head_parse(bytes, n, &head), -EBADMSG);
	CHECK_EQ(head.n_segments, 77);
	bytes[4] = 1; /* 32 bits */
	CHECK_EQ(elf_head_parse(bytes, sizeof(bytes), &head), -EBADMSG);
}

int main(void)
{
	return test_main();
}

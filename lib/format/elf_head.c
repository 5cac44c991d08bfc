/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "format/elf_head.h"
#include "util/cursor.h"
#include "util/macro.h"

#define MAX_SEGMENTS 64

/* An ELF note: u32 size of the name, u32 size of the contents, u32 type, name, contents, both padded to 4 bytes. */
static bool read_build_id(const uint8_t *notes, size_t n, struct elf_head *ret)
{
	struct cursor c = cursor_of(notes, n);

	while (cursor_left(&c) >= 12) {
		uint32_t name_bytes = cursor_u32(&c), bytes = cursor_u32(&c), type = cursor_u32(&c);
		const void *name = cursor_bytes(&c, ((uint64_t)name_bytes + 3) & ~3ull);
		const void *contents = cursor_bytes(&c, ((uint64_t)bytes + 3) & ~3ull);

		if (c.failed)
			return false;
		if (type == NT_GNU_BUILD_ID && name_bytes == 4 && memcmp(name, "GNU", 4) == 0 && bytes &&
		    bytes <= sizeof(ret->build_id)) {
			memcpy(ret->build_id, contents, bytes);
			ret->build_id_bytes = (uint8_t)bytes;
			return true;
		}
	}
	return false;
}

int elf_head_parse(const void *bytes, size_t n, struct elf_head *ret)
{
	struct elf_head head = {};
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (n < sizeof(header))
		return -EBADMSG;
	memcpy(&header, bytes, sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_phentsize != sizeof(segment) ||
	    !header.e_phnum || header.e_phnum > MAX_SEGMENTS || header.e_phoff > n ||
	    header.e_phnum * sizeof(segment) > n - header.e_phoff)
		return -EBADMSG;
	head.n_segments = header.e_phnum;
	head.segments_at = (uint32_t)header.e_phoff;
	for (size_t i = 0; i < header.e_phnum; i++) {
		memcpy(&segment, (const char *)bytes + header.e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type == PT_NOTE && segment.p_offset < n && segment.p_filesz <= n - segment.p_offset &&
		    read_build_id((const uint8_t *)bytes + segment.p_offset, segment.p_filesz, &head))
			break;
	}
	*ret = head;
	return 0;
}

void elf_head_detach(void *bytes, const struct elf_head *head)
{
	Elf64_Ehdr header;

	memcpy(&header, bytes, sizeof(header));
	header.e_shoff = 0;
	header.e_shnum = 0;
	header.e_shstrndx = SHN_UNDEF;
	header.e_phnum = head->n_segments;
	memcpy(bytes, &header, sizeof(header));
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "format/elf_head.h"
#include "format/elf_notes.h"
#include "util/macro.h"

#define MAX_SEGMENTS 64

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
		    elf_notes_build_id((const uint8_t *)bytes + segment.p_offset, segment.p_filesz, head.build_id,
				       &head.build_id_bytes))
			break;
	}
	*ret = head;
	return 0;
}

size_t elf_head_bytes(const struct elf_head *head)
{
	return MAX(sizeof(Elf64_Ehdr), head->segments_at + head->n_segments * sizeof(Elf64_Phdr));
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/elf_notes.h"
#include "sym/elf_file.h"
#include "util/cleanup.h"
#include "util/macro.h"

#define MAX_FILE_BYTES (8ull << 30) /* a kernel with all its debug information has half a gigabyte */
/* Of holes that cost their owner nothing, and us memory for each section that lies in them. A file system may compress. */
#define MAX_HOLE_RATIO 16
#define HOLES_ALLOWED  (1u << 20)

void build_id_set(struct build_id *id, const void *bytes, size_t n)
{
	id->n = (uint8_t)MIN(n, (size_t)BUILD_ID_MAX_BYTES);
	if (id->n)
		memcpy(id->bytes, bytes, id->n);
}

bool build_id_equal(const struct build_id *a, const struct build_id *b)
{
	return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

void build_id_hex(const struct build_id *id, char ret_hex[2 * BUILD_ID_MAX_BYTES + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < id->n; i++) {
		ret_hex[2 * i] = digits[id->bytes[i] >> 4];
		ret_hex[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	ret_hex[2 * id->n] = '\0';
}

void build_id_from_notes(struct build_id *id, const void *notes, size_t n)
{
	id->n = 0;
	(void)elf_notes_build_id(notes, n, id->bytes, &id->n);
}

/*
 * Merely opening a device can have consequences (/dev/watchdog), so the file is looked at through an O_PATH descriptor first,
 * and that very file is then opened.
 */
static int open_regular(const char *path, int *ret_fd, bool *ret_trusted)
{
	_close_ int path_fd = open(path, O_PATH | O_CLOEXEC);
	char again[64];
	struct stat st;

	if (path_fd < 0 || fstat(path_fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > MAX_FILE_BYTES)
		return -EFBIG;
	/* Only its owner could truncate it under a mapping, and who that is could do worse to us. */
	*ret_trusted = (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & (S_IWGRP | S_IWOTH));
	if (!*ret_trusted && (uint64_t)st.st_size > (uint64_t)st.st_blocks * 512 * MAX_HOLE_RATIO + HOLES_ALLOWED)
		return -EFBIG;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", path_fd);
	*ret_fd = open(again, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return *ret_fd < 0 ? -errno : 0;
}

static void read_build_id(struct elf_file *file)
{
	const void *id;
	ssize_t n = dwelf_elf_gnu_build_id(file->elf, &id);

	if (n > 0)
		build_id_set(&file->build_id, id, (size_t)n);
}

/* The kernel maps the whole file, section headers (which come last) and all. */
int elf_file_vdso(struct elf_file *ret_file)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
	_elf_file_ struct elf_file file = ELF_FILE_NONE;

	if (!header)
		return -ENOENT;
	elf_version(EV_CURRENT);
	file.elf = elf_memory((char *)header, header->e_shoff + (size_t)header->e_shnum * header->e_shentsize);
	if (!file.elf)
		return -ENOMEM;
	read_build_id(&file);
	*ret_file = file;
	file = ELF_FILE_NONE;
	return 0;
}

int elf_file_open(const char *path, struct elf_file *ret_file)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	bool trusted = false;
	int r = open_regular(path, &file.fd, &trusted);

	if (r < 0)
		return r;
	elf_version(EV_CURRENT);
	file.elf = elf_begin(file.fd, trusted ? ELF_C_READ_MMAP : ELF_C_READ, NULL);
	if (!file.elf)
		return -ENOMEM;
	if (elf_kind(file.elf) != ELF_K_ELF)
		return -ENOEXEC;
	read_build_id(&file);
	*ret_file = file;
	file = ELF_FILE_NONE;
	return 0;
}

void elf_file_close(struct elf_file *file)
{
	if (file->elf)
		elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	*file = ELF_FILE_NONE;
}

Elf_Scn *elf_file_section(const struct elf_file *file, const char *name)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t names;

	if (elf_getshdrstrndx(file->elf, &names) < 0)
		return NULL;
	while ((section = elf_nextscn(file->elf, section))) {
		const char *its;

		if (!gelf_getshdr(section, &header))
			continue;
		its = elf_strptr(file->elf, names, header.sh_name);
		if (its && streq(its, name))
			return section;
	}
	return NULL;
}

bool elf_file_has_symbols(const struct elf_file *file, uint32_t type)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	while ((section = elf_nextscn(file->elf, section)))
		if (gelf_getshdr(section, &header) && header.sh_type == type)
			return true;
	return false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>

#include "format/elf_notes.h"
#include "guest/types_file.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"

#define NOTES_BYTES_MAX (64u << 10)

struct types_file {
	const char *path;
	int fd;
	Elf *elf;
	GElf_Shdr types; /* sh_type SHT_NULL: there are none */
	char build_id[2 * ELF_BUILD_ID_MAX_BYTES + 1];
};

static void close_file(struct types_file *file)
{
	if (file->elf)
		elf_end(file->elf);
	closep(&file->fd);
}

/* Not mapped, so that nothing happens to us if it is cut meanwhile. */
static int open_file(struct types_file *file, struct vpmu_error *reterr)
{
	struct stat st;

	file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0 || fstat(file->fd, &st) < 0)
		return error_errno(reterr, -errno, "open", file->path);
	if (!S_ISREG(st.st_mode))
		return error_set(reterr, -EINVAL, "'%s' is not a regular file", file->path);
	elf_version(EV_CURRENT);
	file->elf = elf_begin(file->fd, ELF_C_READ, NULL);
	if (!file->elf)
		return error_oom(reterr);
	if (elf_kind(file->elf) != ELF_K_ELF)
		return error_set(reterr, -ENOEXEC, "'%s' is not an ELF file, which a vmlinux is", file->path);
	return 0;
}

/* The bytes of one section. -EBADMSG: the file has not so many. */
static int read_section(const struct types_file *file, const GElf_Shdr *section, void **ret_bytes)
{
	_free_ void *bytes = malloc(section->sh_size + 1);
	ssize_t n;

	if (!bytes)
		return -ENOMEM;
	n = io_pread_full(file->fd, bytes, section->sh_size, section->sh_offset);
	if (n < 0)
		return (int)n;
	if ((uint64_t)n < section->sh_size)
		return -EBADMSG;
	*ret_bytes = take_ptr(bytes);
	return 0;
}

static void read_build_id(struct types_file *file, const GElf_Shdr *section)
{
	uint8_t id[ELF_BUILD_ID_MAX_BYTES], n_id = 0;
	_free_ void *notes = NULL;

	if (file->build_id[0] || section->sh_size > NOTES_BYTES_MAX || read_section(file, section, &notes) < 0 ||
	    !elf_notes_build_id(notes, section->sh_size, id, &n_id))
		return;
	for (uint8_t i = 0; i < n_id; i++)
		snprintf(file->build_id + 2 * i, 3, "%02x", id[i]);
}

/* Files with nothing but debug information name sections that they have not (SHT_NOBITS). */
static void find_sections(struct types_file *file)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t names;

	if (elf_getshdrstrndx(file->elf, &names) < 0)
		return;
	while ((section = elf_nextscn(file->elf, section))) {
		const char *name;

		if (!gelf_getshdr(section, &header))
			continue;
		name = elf_strptr(file->elf, names, header.sh_name);
		if (header.sh_type == SHT_NOTE)
			read_build_id(file, &header);
		else if (header.sh_type == SHT_PROGBITS && name && streq(name, ".BTF"))
			file->types = header;
	}
}

static int check(const struct types_file *file, const char *build_id, size_t limit_bytes, struct vpmu_error *reterr)
{
	if (build_id[0] && !streq(file->build_id, build_id))
		return error_set(reterr, -ESTALE, "'%s' is of another kernel: its build-id is %s, that of the guest's kernel is %s",
				 file->path, file->build_id[0] ? file->build_id : "missing", build_id);
	if (file->types.sh_type == SHT_NULL) {
		error_set(reterr, -ENODATA, "'%s' has no type information: it lacks section .BTF", file->path);
		error_hint(reterr, "if it has debug information, this makes it: pahole -J vmlinux");
		return -ENODATA;
	}
	if (file->types.sh_size > limit_bytes)
		return error_set(reterr, -EFBIG, "'%s' has more type information (section .BTF) than can be true", file->path);
	return 0;
}

int types_file_read(const char *path, const char *build_id, size_t limit_bytes, void **ret_bytes, size_t *ret_n,
		    struct vpmu_error *reterr)
{
	_cleanup_(close_file) struct types_file file = {.path = path, .fd = -1};
	int r = open_file(&file, reterr);

	if (r < 0)
		return r;
	find_sections(&file);
	r = check(&file, build_id, limit_bytes, reterr);
	if (r < 0)
		return r;
	r = read_section(&file, &file.types, ret_bytes);
	if (r == -ENOMEM)
		return error_oom(reterr);
	if (r == -EBADMSG)
		return error_set(reterr, r, "'%s' ends within its type information (section .BTF)", path);
	if (r < 0)
		return error_errno(reterr, r, "read", path);
	*ret_n = file.types.sh_size;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The places and their order are perf's (binary_type_symtab[] and dso__read_binary_type_filename() in tools/perf/util), so
 * that both read the same symbols when a file has several sources: the debug link, perf's own cache, the debug directories by path
 * and by build-id, and last the file itself. A debuginfod is asked only when none of them has what is needed.
 *
 * A candidate must have the same build-id. Where there is none, a debug link is believed if its checksum is right.
 */
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sym/debug_file.h"
#include "sym/debuginfod.h"
#include "util/io.h"
#include "util/macro.h"

struct search {
	const struct sym_env *env;
	const char *path;
	enum debug_file_need need;
	char hex[2 * BUILD_ID_MAX_BYTES + 1];
	struct build_id build_id;
	const char *link; /* the debug link's file name, and its checksum */
	uint32_t link_crc;
	struct elf_file found; /* the first candidate that has it */
	struct elf_file *runtime; /* if not open: the first candidate with .dynsym */
};

/* CRC-32 as in zlib and IEEE 802.3, four bits at a time. */
static uint32_t crc32_update(uint32_t crc, const uint8_t *p, size_t n)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};

	while (n--) {
		crc ^= *p++;
		crc = nibble[crc & 15] ^ crc >> 4;
		crc = nibble[crc & 15] ^ crc >> 4;
	}
	return crc;
}

static bool has_crc(const struct elf_file *file, uint32_t expected)
{
	uint8_t buffer[1 << 14];
	uint32_t crc = UINT32_MAX;
	uint64_t offset = 0;
	ssize_t n;

	while ((n = io_pread_full(file->fd, buffer, sizeof(buffer), offset)) > 0) {
		crc = crc32_update(crc, buffer, (size_t)n);
		offset += (uint64_t)n;
	}
	return n == 0 && ~crc == expected;
}

static bool has_needed(const struct search *s, const struct elf_file *file)
{
	if (s->need == DEBUG_FILE_LINES)
		return elf_file_section(file, ".debug_info") || elf_file_section(file, ".zdebug_info");
	return elf_file_has_symbols(file, SHT_SYMTAB);
}

/* Looks at one place. true once the file was found. @crc: NULL = a file without build-id is not the one. */
static bool try_file(struct search *s, const char *path, const uint32_t *crc)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;

	if (streq(path, s->path) || elf_file_open(path, &file) < 0)
		return false;
	if (s->build_id.n ? !build_id_equal(&file.build_id, &s->build_id) : !crc || !has_crc(&file, *crc))
		return false;
	if (has_needed(s, &file)) {
		s->found = file;
		file = ELF_FILE_NONE;
		return true;
	}
	if (!s->runtime->elf && elf_file_has_symbols(&file, SHT_DYNSYM)) {
		*s->runtime = file;
		file = ELF_FILE_NONE;
	}
	return false;
}

static bool try_format(struct search *s, const uint32_t *crc, const char *format, ...) _printf_(3, 4);
static bool try_format(struct search *s, const uint32_t *crc, const char *format, ...)
{
	_free_ char *path = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&path, format, args);
	va_end(args);
	return n >= 0 && try_file(s, path, crc);
}

/* Calls @fn with each of the colon-separated debug directories. */
static bool each_debug_dir(struct search *s, bool (*fn)(struct search *s, const char *dir, int n))
{
	const char *dir = s->env->debug_dirs;

	while (*dir) {
		size_t n = strcspn(dir, ":");

		if (n && n < 4096 && fn(s, dir, (int)n))
			return true;
		dir += n + (dir[n] == ':');
	}
	return false;
}

/* Length of the directory part of a path, without its slash. */
static int directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash - path) : 0;
}

static bool by_link_below(struct search *s, const char *dir, int n)
{
	return try_format(s, &s->link_crc, "%.*s%.*s/%s", n, dir, directory_length(s->path), s->path, s->link);
}

static bool by_link(struct search *s)
{
	int n = directory_length(s->path);

	if (!s->link || !s->link[0] || strchr(s->link, '/'))
		return false;
	return try_format(s, &s->link_crc, "%.*s/%s", n, s->path, s->link) ||
	       try_format(s, &s->link_crc, "%.*s/.debug/%s", n, s->path, s->link) ||
	       each_debug_dir(s, by_link_below);
}

static bool in_perf_cache(struct search *s)
{
	if (!s->env->perf_cache || !s->build_id.n)
		return false;
	return try_format(s, NULL, "%s/.build-id/%.2s/%s/elf", s->env->perf_cache, s->hex, s->hex + 2) ||
	       try_format(s, NULL, "%s/.build-id/%.2s/%s/debug", s->env->perf_cache, s->hex, s->hex + 2);
}

static bool by_path_below(struct search *s, const char *dir, int n)
{
	return try_format(s, NULL, "%.*s%s.debug", n, dir, s->path) ||
	       try_format(s, NULL, "%.*s%s", n, dir, s->path);
}

static bool by_build_id_below(struct search *s, const char *dir, int n)
{
	return try_format(s, NULL, "%.*s/.build-id/%.2s/%s.debug", n, dir, s->hex, s->hex + 2);
}

static bool at_debuginfod(struct search *s)
{
	_free_ char *path = NULL;

	return s->env->use_debuginfod && debuginfod_fetch(&s->build_id, &s->env->hurry, &path) == 0 && try_file(s, path, NULL);
}

static bool search_all(struct search *s)
{
	if (by_link(s))
		return true;
	if (!s->build_id.n)
		return false;
	return in_perf_cache(s) || each_debug_dir(s, by_path_below) || each_debug_dir(s, by_build_id_below);
}

int debug_file_find(const struct sym_env *env, const char *path, const struct build_id *build_id,
		    enum debug_file_need need, struct elf_file *ret_runtime, struct elf_file *ret_debug)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	struct search s = { .env = env, .path = path, .need = need, .build_id = *build_id,
			    .found = ELF_FILE_NONE };
	int r = elf_file_open(path, &file);
	bool complete = false;
	GElf_Word crc;

	s.runtime = &file;
	if (r == 0 && build_id->n && !build_id_equal(build_id, &file.build_id)) {
		elf_file_close(&file);
		r = -ESTALE;
	}
	if (r == 0) {
		s.build_id = file.build_id;
		s.link = dwelf_elf_gnu_debuglink(file.elf, &crc);
		s.link_crc = s.link ? crc : 0;
		complete = has_needed(&s, &file);
	}
	build_id_hex(&s.build_id, s.hex);
	if (!search_all(&s) && !complete && s.build_id.n)
		at_debuginfod(&s);
	if (!file.elf && !s.found.elf)
		return r < 0 ? r : -ENOENT;
	*ret_debug = s.found;
	*ret_runtime = file;
	file = ELF_FILE_NONE;
	return 0;
}

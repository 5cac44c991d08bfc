/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which lines of kallsyms count is perf's choice (symbol_type__filter(), map__process_kallsym_symbol()): text, weak, data and bss,
 * whatever their binding; not ARM's "$x" marks.
 *
 * Per-CPU symbols are offsets from each CPU's area, which x86-64 kernels print as small numbers. Being without a size, the last one
 * would cover everything up to the kernel. In a table that has addresses in the upper half all others are dropped.
 *
 * The kernel makes the text while it is read, a page per read(), which takes it four times as long as we need for parsing. So
 * somebody reads ahead, and the text is parsed as it comes: it stays in the cache and needs no memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "format/kallsyms.h"
#include "sym/kallsyms_table.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/read_ahead.h"

#define BUFFER_BYTES (64u << 10)
#define UPPER_HALF   (1ull << 63)
#define MAX_TEXT_BYTES (1ull << 30)

struct reading {
	struct symtab_builder *builder;
	uint64_t lines, bad;
	bool has_address, has_upper_half, without_dynamic;
};

/* Modules that are none: "bpf", and "__builtin__kprobes", "__builtin__ftrace" for pages of trampolines. */
static bool is_dynamic(const struct kallsyms_line *line)
{
	static const char builtin[] = "__builtin__";

	return (line->module_bytes == 3 && memcmp(line->module, "bpf", 3) == 0) ||
	       (line->module_bytes >= strlen(builtin) && memcmp(line->module, builtin, strlen(builtin)) == 0);
}

bool kallsyms_counts(char type, char first)
{
	return strchr("TtWwDdBb", type) && type && first != '$';
}

static int add_line(const struct kallsyms_line *line, void *data)
{
	struct reading *r = data;

	r->lines++;
	if (!line->address)
		return 0;
	r->has_address = true;
	if (!kallsyms_counts(line->type, line->name_bytes ? line->name[0] : '\0'))
		return 0;
	if (r->without_dynamic && line->module && is_dynamic(line))
		return 0;
	r->has_upper_half |= line->address >= UPPER_HALF;
	return symtab_builder_add(r->builder, line->address, 0, line->type, line->name, line->name_bytes,
				  line->module, line->module_bytes);
}

static int read_text(int fd, struct reading *r)
{
	_cleanup_(read_ahead_freep) struct read_ahead *ahead = read_ahead_new(fd);
	_free_ char *buffer = malloc(BUFFER_BYTES + 1);
	uint64_t total = 0;
	size_t n = 0;

	if (!ahead || !buffer)
		return -ENOMEM;
	for (;;) {
		ssize_t got = read_ahead_read(ahead, buffer + n, BUFFER_BYTES - n);
		uint64_t bad = 0;
		size_t used;
		int ret;

		if (got < 0)
			return (int)got;
		n += (size_t)got;
		total += (uint64_t)got;
		if (got == 0 && n)
			buffer[n++] = '\n';
		ret = kallsyms_parse(buffer, n, add_line, r, &used, &bad);
		r->bad += bad;
		if (ret < 0 || got == 0)
			return ret;
		/* A line longer than the buffer is none; nor does anybody have a gigabyte of symbols. */
		if (used == 0 && n == BUFFER_BYTES)
			return -EINVAL;
		if (total > MAX_TEXT_BYTES)
			return -EFBIG;
		n -= used;
		memmove(buffer, buffer + used, n);
	}
}

static int add_module(const struct modules_line *line, void *data)
{
	uint64_t end;

	/* Address 0: hidden from whoever read it. */
	if (!line->address || __builtin_add_overflow(line->address, line->size_bytes, &end))
		return 0;
	return symtab_builder_module_end(data, line->name, line->name_bytes, end);
}

/* Reports what is wrong with a text of which this was seen. 0 if nothing is. */
static int judge(const struct reading *r, const char *path, struct vpmu_error *reterr)
{
	if (r->bad > r->lines)
		return error_set(reterr, -EINVAL, "'%s' is no kallsyms: lines are not 'address type name'", path);
	if (!r->lines)
		return error_set(reterr, -EINVAL, "'%s' has no symbols", path);
	if (!r->has_address)
		return error_set(reterr, -EACCES, "all addresses in '%s' are zero", path);
	return 0;
}

static int open_source(const struct kallsyms_source *source, int *ret_fd)
{
	int fd;

	if (source->open)
		return source->open(ret_fd);
	fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int kallsyms_table_read(const struct kallsyms_source *source, struct symtab **ret_table, struct vpmu_error *reterr)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *builder = symtab_builder_new();
	_close_ int fd = -1;
	struct reading reading = { .builder = builder, .without_dynamic = source->without_dynamic };
	int r = open_source(source, &fd);

	if (r < 0)
		return error_errno(reterr, r, "open", source->path);
	if (!builder)
		return error_oom(reterr);
	r = read_text(fd, &reading);
	if (r == -EINVAL)
		reading.bad = UINT64_MAX;
	else if (r < 0)
		return error_errno(reterr, r, "read", source->path);
	r = judge(&reading, source->path, reterr);
	if (r < 0)
		return r;
	if (reading.has_upper_half)
		symtab_builder_drop_below(builder, UPPER_HALF);
	if (source->modules) {
		r = modules_parse(source->modules, source->modules_bytes, add_module, builder, NULL);
		if (r < 0)
			return error_oom(reterr);
	}
	r = symtab_builder_finish(builder, source->meta, source->meta_bytes, ret_table);
	return r < 0 ? error_errno(reterr, r, "make a table of", source->path) : 0;
}

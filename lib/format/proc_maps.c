/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fs/proc/task_mmu.c, show_map_vma(): everything up to the inode, then, if there is one, the path,
 * at a fixed column.
 */
#include <errno.h>
#include <sys/mman.h>

#include "format/proc_maps.h"
#include "format/text.h"

static bool read_prot(const char **p, const char *end, struct proc_maps_line *ret)
{
	const char *s = *p;

	if (end - s < 4)
		return false;
	if ((s[0] != 'r' && s[0] != '-') || (s[1] != 'w' && s[1] != '-') ||
	    (s[2] != 'x' && s[2] != '-') || (s[3] != 's' && s[3] != 'p'))
		return false;
	ret->prot = (uint8_t)((s[0] == 'r' ? PROT_READ : 0) | (s[1] == 'w' ? PROT_WRITE : 0) |
			      (s[2] == 'x' ? PROT_EXEC : 0));
	ret->shared = s[3];
	*p += 4;
	return true;
}

static bool read_device(const char **p, const char *end, struct proc_maps_line *ret)
{
	uint64_t major, minor;

	if (!text_hex(p, end, &major) || !text_char(p, end, ':') || !text_hex(p, end, &minor))
		return false;
	ret->major = (uint32_t)major;
	ret->minor = (uint32_t)minor;
	return major <= UINT32_MAX && minor <= UINT32_MAX;
}

static bool read_line(const char *p, const char *end, struct proc_maps_line *ret)
{
	if (!text_hex(&p, end, &ret->start) || !text_char(&p, end, '-') ||
	    !text_hex(&p, end, &ret->end))
		return false;
	if (!text_char(&p, end, ' ') || !read_prot(&p, end, ret) || !text_char(&p, end, ' '))
		return false;
	if (!text_hex(&p, end, &ret->offset_bytes) || !text_char(&p, end, ' ') ||
	    !read_device(&p, end, ret))
		return false;
	if (!text_char(&p, end, ' ') || !text_decimal(&p, end, &ret->inode))
		return false;
	if (p < end && *p != ' ')
		return false;
	while (text_char(&p, end, ' '))
		;
	ret->path = p;
	ret->path_bytes = (uint32_t)(end - p);
	return ret->start < ret->end;
}

int proc_maps_parse(const char *text, size_t n,
		    int (*fn)(const struct proc_maps_line *line, void *data), void *data,
		    uint64_t *ret_bad)
{
	const char *end = text + n;
	struct proc_maps_line line;
	uint64_t bad = 0;
	int r = 0;

	for (const char *p = text, *stop; r == 0 && p < end; p = stop + 1) {
		stop = text_line_end(p, end);
		if (stop - p <= TEXT_LINE_MAX && read_line(p, stop, &line))
			r = fn(&line, data);
		else
			bad++;
	}
	if (ret_bad)
		*ret_bad = bad;
	return r;
}

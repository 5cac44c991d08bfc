/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of /proc/PID/maps. */
#include <sys/mman.h>

#include "format/proc_maps.h"
#include "fuzz.h"

struct seen {
	const char *text, *end;
	uint64_t lines;
};

static int see(const struct proc_maps_line *line, void *data)
{
	struct seen *seen = data;

	HOLDS(line->start < line->end);
	HOLDS(!(line->prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)));
	HOLDS(line->shared == 's' || line->shared == 'p');
	HOLDS(line->path > seen->text && line->path + line->path_bytes <= seen->end);
	HOLDS(!memchr(line->path, '\n', line->path_bytes));
	touch(line->path, line->path_bytes);
	seen->lines++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = exact_copy(bytes, size);
	struct seen seen = { .text = text, .end = text + size };
	uint64_t bad, newlines = 0;

	HOLDS(proc_maps_parse(text, size, see, &seen, &bad) == 0);
	for (size_t i = 0; i < size; i++)
		newlines += text[i] == '\n';
	HOLDS(seen.lines + bad == newlines + (size > 0 && text[size - 1] != '\n'));
	free(text);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "format/elf_head.h"
#include "guest/areas.h"
#include "guest/code_areas.h"
#include "util/cursor.h"
#include "util/strbuf.h"

void code_areas_encode(const struct code_area *area, struct strbuf *out)
{
	uint64_t places[] = {area->start_gva, area->end_gva, area->offset_bytes};
	uint32_t sizes[] = {(uint32_t)strlen(area->path), 0, area->build_id_bytes};
	struct elf_head head;

	/* What is behind the program headers nobody needs. */
	if (area->head && elf_head_parse(area->head, ELF_HEAD_BYTES, &head) == 0)
		sizes[1] = (uint32_t)elf_head_bytes(&head);
	strbuf_add(out, (const char *)places, sizeof(places));
	strbuf_add(out, (const char *)sizes, sizeof(sizes));
	strbuf_add(out, area->path, sizes[0]);
	strbuf_add(out, sizes[1] ? area->head : "", sizes[1]);
	strbuf_add(out, (const char *)area->build_id, sizes[2]);
}

/* Of one area; the strings are copied to where they end in a NUL, and in zeroes. */
static int decode(struct cursor *c, struct code_area *ret, char path[CODE_AREA_PATH_BYTES], char head[ELF_HEAD_BYTES])
{
	uint32_t path_bytes, head_bytes, id_bytes;
	const void *path_at, *head_at, *id_at;
	struct elf_head parsed;

	*ret = (struct code_area){};
	ret->start_gva = cursor_u64(c);
	ret->end_gva = cursor_u64(c);
	ret->offset_bytes = cursor_u64(c);
	path_bytes = cursor_u32(c);
	head_bytes = cursor_u32(c);
	id_bytes = cursor_u32(c);
	if (path_bytes >= CODE_AREA_PATH_BYTES || head_bytes > ELF_HEAD_BYTES || id_bytes > sizeof(ret->build_id))
		return -EBADMSG;
	path_at = cursor_bytes(c, path_bytes);
	head_at = cursor_bytes(c, head_bytes);
	id_at = cursor_bytes(c, id_bytes);
	if (c->failed || ret->end_gva <= ret->start_gva || memchr(path_at, '\0', path_bytes))
		return -EBADMSG;
	memcpy(path, path_at, path_bytes);
	path[path_bytes] = '\0';
	ret->path = path;
	memcpy(ret->build_id, id_at, id_bytes);
	ret->build_id_bytes = (uint8_t)id_bytes;
	memset(head, 0, ELF_HEAD_BYTES);
	memcpy(head, head_at, head_bytes);
	if (head_bytes && elf_head_parse(head, ELF_HEAD_BYTES, &parsed) == 0) {
		elf_head_detach(head, &parsed);
		ret->head = head;
	}
	return 0;
}

int code_areas_decode(const void *bytes, size_t n, int (*fn)(const struct code_area *area, void *data), void *data)
{
	struct cursor c = cursor_of(n ? bytes : "", n);
	char path[CODE_AREA_PATH_BYTES], head[ELF_HEAD_BYTES];
	int r = 0;

	for (unsigned int i = 0; r == 0 && cursor_left(&c); i++) {
		struct code_area area;

		r = i < AREAS_MAX ? decode(&c, &area, path, head) : -EBADMSG;
		if (r == 0)
			r = fn(&area, data);
	}
	return r;
}

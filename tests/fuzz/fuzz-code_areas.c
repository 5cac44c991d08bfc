/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a guest's process has code, as a parser tells it. */
#include "format/elf_head.h"
#include "fuzz.h"
#include "guest/code_areas.h"
#include "util/strbuf.h"

static int see_area(const struct code_area *area, void *data)
{
	HOLDS(area->end_gva > area->start_gva && area->build_id_bytes <= sizeof(area->build_id));
	touch_string(area->path);
	if (area->head)
		touch(area->head, ELF_HEAD_BYTES);
	code_areas_encode(area, data);
	return 0;
}

static int see_again(const struct code_area *area, void *data)
{
	(void)area;
	(void)data;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *copy = exact_copy(bytes, size);
	struct strbuf again = {};

	code_areas_decode(copy, size, see_area, &again);
	/* What was understood is told in a way that can be understood. */
	HOLDS(again.failed || code_areas_decode(again.text, again.n, see_again, NULL) == 0);
	strbuf_deinit(&again);
	free(copy);
	return 0;
}

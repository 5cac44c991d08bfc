/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Our own sections, from a file that anybody may have made. The input's first byte tells which of
 * the two. What can be decoded can be encoded, and comes back the same from then on.
 */
#include "format/vpmu_section.h"
#include "fuzz.h"

static void try_guests(const void *bytes, size_t n)
{
	struct strbuf first = {}, second = {};
	struct vpmu_section_guests guests, again;

	if (vpmu_section_guests_decode(bytes, n, &guests) < 0)
		return;
	HOLDS(guests.n_guests <= VPMU_SECTION_MAX_GUESTS);
	HOLDS(vpmu_section_guests_encode(&guests, &first) == 0);
	HOLDS(vpmu_section_guests_decode(first.text, first.n, &again) == 0);
	HOLDS(vpmu_section_guests_encode(&again, &second) == 0);
	HOLDS(first.n == second.n && memcmp(first.text, second.text, first.n) == 0);
	vpmu_section_guests_deinit(&guests);
	vpmu_section_guests_deinit(&again);
	strbuf_deinit(&first);
	strbuf_deinit(&second);
}

static int see_table(const struct vpmu_section_table *table, void *data)
{
	struct strbuf one = {};

	touch_string(table->path);
	touch(table->image, table->image_bytes);
	HOLDS(table->build_id_bytes <= sizeof(table->build_id));
	HOLDS(vpmu_section_tables_encode(table, 1, &one) == 0);
	strbuf_deinit(&one);
	++*(uint32_t *)data;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint32_t tables = 0;
	void *copy;

	if (size == 0)
		return 0;
	copy = exact_copy(bytes + 1, size - 1);
	if (bytes[0] & 1)
		vpmu_section_tables_decode(copy, size - 1, see_table, &tables);
	else
		try_guests(copy, size - 1);
	free(copy);
	return 0;
}

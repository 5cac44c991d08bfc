/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A profile has far more addresses than functions, and far more words of call chains than addresses. Two caches in a row make
 * use of it: (side, guest or space, address) -> frame, so that the symbolizer hears of an address once; and string pointer ->
 * number of the profile's string, as the symbolizer has one copy of each name.
 *
 * Addresses are looked up as they are, those of callers too, although a return address may lie behind the end of a
 * function that ends in a call. perf does the same (tools/perf/util/machine.c, add_callchain_ip()), and figures that agree with perf's
 * are worth more here than the rare frame put right.
 */
#include <inttypes.h>
#include <stdio.h>

#include "profile/naming.h"
#include "util/hash.h"
#include "util/macro.h"

/* What an address is relative to: its side, and a guest's or a space's number. */
struct place {
	uint64_t address;
	uint32_t of; /* guest or space */
	uint32_t frame : 29, side : 3;
};

#define MAX_FRAME ((1u << 29) - 2)

struct naming {
	struct profile_tables *tables;
	struct vpmu_symbolizer *symbolizer;
	bool lines;
	struct place *places; /* open addressing; frame is +1, 0 = free */
	size_t n_places, mask;
	struct {
		const char *pointer;
		uint32_t string;
	} *strings;
	size_t n_strings, strings_mask;
};

struct naming *naming_free(struct naming *n)
{
	if (!n)
		return NULL;
	free(n->places);
	free(n->strings);
	free(n);
	return NULL;
}

struct naming *naming_new(struct profile_tables *tables, struct vpmu_symbolizer *symbolizer, bool lines)
{
	_cleanup_(naming_freep) struct naming *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->tables = tables;
	n->symbolizer = symbolizer;
	n->lines = lines;
	n->mask = n->strings_mask = 1023;
	n->places = calloc(n->mask + 1, sizeof(*n->places));
	n->strings = calloc(n->strings_mask + 1, sizeof(*n->strings));
	if (!n->places || !n->strings)
		return NULL;
	return take_ptr(n);
}

/* ---- strings ---- */

static size_t string_slot(const struct naming *n, const char *pointer)
{
	size_t i = hash_mix((uintptr_t)pointer, 0) & n->strings_mask;

	while (n->strings[i].pointer && n->strings[i].pointer != pointer)
		i = (i + 1) & n->strings_mask;
	return i;
}

static bool strings_grow(struct naming *n)
{
	__typeof__(n->strings) old = n->strings;
	size_t old_mask = n->strings_mask;

	n->strings = calloc((old_mask + 1) * 2, sizeof(*n->strings));
	if (!n->strings) {
		n->strings = old;
		return false;
	}
	n->strings_mask = old_mask * 2 + 1;
	for (size_t i = 0; i <= old_mask; i++)
		if (old[i].pointer)
			n->strings[string_slot(n, old[i].pointer)] = old[i];
	free(old);
	return true;
}

static uint32_t string_of(struct naming *n, const char *pointer)
{
	size_t i;

	if (!pointer || !*pointer)
		return 0;
	i = string_slot(n, pointer);
	if (n->strings[i].pointer)
		return n->strings[i].string;
	if (n->n_strings * 2 > n->strings_mask) {
		if (!strings_grow(n))
			return INTERN_FAILED;
		i = string_slot(n, pointer);
	}
	n->strings[i].string = intern_add(n->tables->strings, pointer);
	if (n->strings[i].string == INTERN_FAILED)
		return INTERN_FAILED;
	n->strings[i].pointer = pointer;
	n->n_strings++;
	return n->strings[i].string;
}

/* ---- frames ---- */

/* What is shown in place of a symbol: where in its file, or in memory, the address is. */
static uint32_t offset_string(struct naming *n, uint64_t offset)
{
	char text[20] = "0x", *p = text + sizeof(text);
	size_t digits = 0;

	do {
		*--p = "0123456789abcdef"[offset & 15];
		digits++;
	} while (offset >>= 4);
	memmove(text + 2, p, digits);
	return intern_add_bytes(n->tables->strings, text, digits + 2);
}

static uint32_t frame_new(struct naming *n, enum vpmu_side side, uint32_t guest, uint32_t space,
			  uint64_t address)
{
	struct vpmu_frame named;
	struct profile_frame frame;

	symbolizer_frame(n->symbolizer, side, guest, space, address, n->lines, &named);
	frame = (struct profile_frame){
		.symbol = named.status == VPMU_FRAME_OK ? string_of(n, named.symbol) :
							  offset_string(n, named.dso_offset),
		.dso = string_of(n, named.dso),
		.build_id = string_of(n, named.build_id),
		.src_file = string_of(n, named.src_file),
		.src_line = named.src_line,
		.side = (uint8_t)side,
		.status = (uint8_t)named.status,
	};
	if (frame.symbol == INTERN_FAILED || frame.dso == INTERN_FAILED ||
	    frame.build_id == INTERN_FAILED || frame.src_file == INTERN_FAILED)
		return UINT32_MAX;
	return tables_frame(n->tables, &frame);
}

static size_t place_slot(const struct naming *n, const struct place *key)
{
	size_t i = hash_mix(key->address, key->of | (uint64_t)key->side << 32) & n->mask;

	while (n->places[i].frame && (n->places[i].address != key->address ||
				      n->places[i].of != key->of || n->places[i].side != key->side))
		i = (i + 1) & n->mask;
	return i;
}

static bool places_grow(struct naming *n)
{
	struct place *old = n->places;
	size_t old_mask = n->mask;

	n->places = calloc((old_mask + 1) * 2, sizeof(*n->places));
	if (!n->places) {
		n->places = old;
		return false;
	}
	n->mask = old_mask * 2 + 1;
	for (size_t i = 0; i <= old_mask; i++)
		if (old[i].frame)
			n->places[place_slot(n, &old[i])] = old[i];
	free(old);
	return true;
}

uint32_t naming_frame(struct naming *n, enum vpmu_side side, uint32_t guest, uint32_t space,
		      uint64_t address)
{
	struct place key = { .address = address, .side = (uint8_t)side & 7 };
	uint32_t frame;
	size_t i;

	if (side == VPMU_SIDE_HOST_USER)
		key.of = space;
	else if (VPMU_SIDES_GUEST & 1u << side)
		key.of = guest;
	i = place_slot(n, &key);
	if (likely(n->places[i].frame))
		return n->places[i].frame - 1;
	frame = frame_new(n, side, guest, space, address);
	if (frame > MAX_FRAME)
		return UINT32_MAX;
	if (n->n_places * 3 > n->mask * 2) {
		if (!places_grow(n))
			return UINT32_MAX;
		i = place_slot(n, &key);
	}
	key.frame = frame + 1;
	n->places[i] = key;
	n->n_places++;
	return frame;
}

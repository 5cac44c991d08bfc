/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A profile has far more words of call chains than addresses, and far more addresses than
 * functions. Two tables make use of it:
 *
 *   places    (side, guest or space, address) -> frame: the symbolizer hears of an address once
 *   strings   pointer -> number of the profile's string: the symbolizer has one copy of each
 *
 * Addresses are looked up as they are, those of callers too, although a return address may lie
 * behind the end of a function that ends in a call. perf does the same
 * (tools/perf/util/machine.c, add_callchain_ip()), and figures that agree with perf's are worth
 * more here than the rare frame put right.
 *
 * Callers that no mapping holds are one frame, "[unmapped]": they are no places in code but what
 * the kernel finds when it follows frame pointers through code that was compiled without them,
 * heap addresses and text mostly. Each would be a row of its own (in a recording of a busy
 * machine nine rows in ten), and mean nothing. perf shows them all.
 */
#include <string.h>

#include "profile/naming.h"
#include "util/hash.h"
#include "util/macro.h"

#define FIRST_SLOTS 1024

/* Open addressing; four slots to a cache line. */
struct place_slot {
	uint64_t address;
	uint32_t of;
	uint32_t frame1 : 29, side : 3; /* frame + 1, 0 = free */
};

#define UNMAPPED1 ((1u << 29) - 1) /* in place of frame + 1: no mapping holds this address */
#define MAX_FRAME (UNMAPPED1 - 2)

struct string_slot {
	const char *pointer;
	uint32_t string;
};

struct naming {
	struct profile_tables *tables;
	struct vpmu_symbolizer *symbolizer;
	bool lines;
	struct place_slot *places;
	size_t n_places, place_mask;
	struct string_slot *strings;
	size_t n_strings, strings_mask;
	uint32_t unmapped; /* the frame of callers that are nowhere; UINT32_MAX = not needed yet */
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

struct naming *naming_new(struct profile_tables *tables, struct vpmu_symbolizer *symbolizer,
			  bool lines, size_t expected)
{
	_cleanup_(naming_freep) struct naming *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->tables = tables;
	n->symbolizer = symbolizer;
	n->lines = lines;
	n->unmapped = UINT32_MAX;
	n->place_mask = n->strings_mask = FIRST_SLOTS - 1;
	while (n->place_mask * 2 < expected * 3)
		n->place_mask = n->place_mask * 2 + 1;
	n->places = calloc(n->place_mask + 1, sizeof(*n->places));
	n->strings = calloc(FIRST_SLOTS, sizeof(*n->strings));
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
	struct string_slot *old = n->strings;
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
	char text[2 + 16], *p = text + sizeof(text);

	do
		*--p = "0123456789abcdef"[offset & 15];
	while (offset >>= 4);
	*--p = 'x';
	*--p = '0';
	return intern_add_bytes(n->tables->strings, p, (size_t)(text + sizeof(text) - p));
}

static uint32_t symbol_of(struct naming *n, const struct vpmu_frame *named)
{
	if (named->status == VPMU_FRAME_OK)
		return string_of(n, named->symbol);
	return named->status == VPMU_FRAME_NESTED ? string_of(n, "[nested guest]") : offset_string(n, named->dso_offset);
}

static uint32_t frame_new(struct naming *n, const struct vpmu_frame *named)
{
	struct profile_frame frame = {
		.symbol = symbol_of(n, named),
		.dso = string_of(n, named->dso),
		.build_id = string_of(n, named->build_id),
		.src_file = string_of(n, named->src_file),
		.src_line = named->src_line,
		.side = (uint8_t)named->side,
		.status = (uint8_t)named->status,
	};

	if (frame.symbol == INTERN_FAILED || frame.dso == INTERN_FAILED ||
	    frame.build_id == INTERN_FAILED || frame.src_file == INTERN_FAILED)
		return UINT32_MAX;
	return tables_frame(n->tables, &frame);
}

/* ---- places ---- */

static size_t place_home(const struct naming *n, const struct place *place)
{
	return hash_mix(place->address, place->of | (uint64_t)place->side << 32) & n->place_mask;
}

static size_t place_find(const struct naming *n, const struct place *place)
{
	size_t i = place_home(n, place);

	while (n->places[i].frame1 &&
	       (n->places[i].address != place->address || n->places[i].of != place->of ||
		n->places[i].side != place->side))
		i = (i + 1) & n->place_mask;
	return i;
}

static bool places_grow(struct naming *n)
{
	struct place_slot *old = n->places;
	size_t old_mask = n->place_mask;

	n->places = calloc((old_mask + 1) * 2, sizeof(*n->places));
	if (!n->places) {
		n->places = old;
		return false;
	}
	n->place_mask = old_mask * 2 + 1;
	for (size_t i = 0; i <= old_mask; i++) {
		struct place place = {
			.address = old[i].address,
			.of = old[i].of,
			.side = old[i].side,
		};

		if (old[i].frame1)
			n->places[place_find(n, &place)] = old[i];
	}
	free(old);
	return true;
}

void naming_prefetch(const struct naming *n, const struct place *place)
{
	__builtin_prefetch(&n->places[place_home(n, place)]);
}

static uint32_t unmapped_frame(struct naming *n)
{
	struct profile_frame frame = { .side = VPMU_SIDE_HOST_USER, .status = VPMU_FRAME_UNMAPPED };

	if (n->unmapped != UINT32_MAX)
		return n->unmapped;
	frame.symbol = intern_add(n->tables->strings, "[unmapped]");
	frame.dso = intern_add(n->tables->strings, "[unknown]");
	if (frame.symbol == INTERN_FAILED || frame.dso == INTERN_FAILED)
		return UINT32_MAX;
	n->unmapped = tables_frame(n->tables, &frame);
	return n->unmapped;
}

static bool place_add(struct naming *n, const struct place *place, uint32_t frame1)
{
	if (n->n_places * 3 > n->place_mask * 2 && !places_grow(n))
		return false;
	n->places[place_find(n, place)] = (struct place_slot){
		.address = place->address,
		.of = place->of,
		.side = place->side & 7,
		.frame1 = frame1,
	};
	n->n_places++;
	return true;
}

/* Of a process whose mappings are not known, or of a guest, an address is all there is. */
static bool is_nowhere(const struct place *place, const struct vpmu_frame *named)
{
	return named->status == VPMU_FRAME_UNMAPPED && place->side == VPMU_SIDE_HOST_USER &&
	       place->of != SPACE_NONE;
}

/* Frame + 1, as the symbolizer says; 0 when out of memory; UNMAPPED1 for nowhere, unless @exact. */
static uint32_t ask(struct naming *n, const struct place *place, bool exact)
{
	uint32_t guest = place->of, space = SPACE_NONE, frame;
	struct vpmu_frame named;

	if (place->side == VPMU_SIDE_HOST_USER) {
		space = place->of;
	} else if (place->side == VPMU_SIDE_GUEST_USER && guest != VPMU_NO_GUEST && guest & PLACE_SPACE) {
		space = guest & ~PLACE_SPACE; /* which tells whose it is */
		guest = VPMU_NO_GUEST;
	}
	symbolizer_frame(n->symbolizer, (enum vpmu_side)place->side, guest, space, place->address, n->lines, &named);
	named.side = (enum vpmu_side)place->side;
	if (!exact && is_nowhere(place, &named))
		return UNMAPPED1;
	frame = frame_new(n, &named);
	return frame > MAX_FRAME ? 0 : frame + 1;
}

uint32_t naming_frame(struct naming *n, const struct place *place, bool caller)
{
	uint32_t frame1 = n->places[place_find(n, place)].frame1;

	if (unlikely(!frame1)) {
		frame1 = ask(n, place, false);
		if (!frame1 || !place_add(n, place, frame1))
			return UINT32_MAX;
	}
	if (likely(frame1 != UNMAPPED1))
		return frame1 - 1;
	if (caller)
		return unmapped_frame(n);
	frame1 = ask(n, place, true); /* where a sample was taken there is code, mapped or not */
	return frame1 ? frame1 - 1 : UINT32_MAX;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "format/kallsyms_tables.h"
#include "util/macro.h"

#define DIGIT_0 0x30
/* A run of this many plausible markers is no coincidence; kernels have hundreds. */
#define MARKERS_RUN 8
/* What 256 symbols take in names: from a length, a type and nothing more to the longest names there
 * can be. */
#define MARKER_STEP_MIN (256 * 2)
#define MARKER_STEP_MAX (256 * 520)
/* Lengths that are looked at until the names are found: of a real table its own, and some hundred for each place that looks like them. */
#define LENGTHS_MAX (16 * (uint64_t)KALLSYMS_SYMBOLS_MAX)

static uint16_t read_u16(const uint8_t *p)
{
	uint16_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static uint32_t read_u32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static uint64_t read_u64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

/* @at moved up so that its address is a multiple of @align. */
static size_t align_up(size_t at, uint64_t gva, size_t align)
{
	return at + (size_t)(-(gva + at) & (align - 1));
}

/* ---- tokens ---- */

/* Behind the texts from "0" on come those of 207 further tokens. SIZE_MAX if they do not end soon.
 */
static size_t texts_end(const uint8_t *bytes, size_t n, size_t digits_at)
{
	size_t at = digits_at, limit = MIN(n, digits_at + KALLSYMS_TOKENS_BYTES);

	for (int token = DIGIT_0; token < 256; token++) {
		const uint8_t *nul = at < limit ? memchr(bytes + at, 0, limit - at) : NULL;

		if (!nul)
			return SIZE_MAX;
		at = (size_t)(nul - bytes) + 1;
	}
	return at;
}

static bool index_fits(const uint8_t *bytes, size_t tokens_at, size_t end, size_t index_at)
{
	size_t at = tokens_at;

	for (int token = 0; token < 256; token++) {
		const uint8_t *nul;

		if (read_u16(bytes + index_at + 2 * token) != at - tokens_at || at >= end)
			return false;
		nul = memchr(bytes + at, 0, end - at);
		if (!nul || nul - (bytes + at) > UINT8_MAX)
			return false;
		at = (size_t)(nul - bytes) + 1;
	}
	return at == end;
}

/* The index behind the texts, SIZE_MAX if there is none that fits. *ret_tokens_at: the first text.
 */
static size_t find_index(const uint8_t *bytes, size_t n, uint64_t gva, size_t digits_at,
			 size_t *ret_tokens_at)
{
	size_t end = texts_end(bytes, n, digits_at), back, index_at;

	if (end == SIZE_MAX)
		return SIZE_MAX;
	for (size_t align = 4; align <= 8; align += 4) {
		index_at = align_up(end, gva, align);
		if (index_at > n || n - index_at < 512)
			continue;
		back = read_u16(bytes + index_at + 2 * DIGIT_0);
		if (back <= digits_at && index_fits(bytes, digits_at - back, end, index_at)) {
			*ret_tokens_at = digits_at - back;
			return index_at;
		}
	}
	return SIZE_MAX;
}

size_t kallsyms_tokens_find(const void *opaque, size_t n, size_t from, uint64_t gva)
{
	static const char digits[20] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	const uint8_t *bytes = opaque, *hit;
	size_t tokens_at;

	while (from < n && (hit = memmem(bytes + from, n - from, digits, sizeof(digits)))) {
		size_t at = (size_t)(hit - bytes);

		if (find_index(bytes, n, gva, at, &tokens_at) != SIZE_MAX)
			return tokens_at;
		from = at + 1;
	}
	return SIZE_MAX;
}

/* Puts down where each token's text is; returns the position behind the index, SIZE_MAX if nothing
 * fits. */
static size_t load_tokens(struct kallsyms_tables *t, size_t n)
{
	size_t at = t->tokens_at, tokens_at, index_at;

	for (int token = 0; token < DIGIT_0; token++) {
		const uint8_t *nul = at < n ? memchr(t->bytes + at, 0, n - at) : NULL;

		if (!nul)
			return SIZE_MAX;
		at = (size_t)(nul - t->bytes) + 1;
	}
	index_at = find_index(t->bytes, n, t->bytes_gva, at, &tokens_at);
	if (index_at == SIZE_MAX || tokens_at != t->tokens_at)
		return SIZE_MAX;
	for (int token = 0; token < 256; token++) {
		t->token_at[token] = read_u16(t->bytes + index_at + 2 * token);
		t->token_bytes[token] =
			(uint8_t)strlen((const char *)t->bytes + tokens_at + t->token_at[token]);
		memcpy(t->token_text[token], t->bytes + tokens_at + t->token_at[token],
		       MIN((size_t)t->token_bytes[token], (size_t)KALLSYMS_TOKEN_ROOM));
	}
	return index_at + 512;
}

/* ---- names ---- */

/* Steps over one symbol's length at @at; its number of tokens, or -1 at the end of what there is.
 */
static int name_length(const struct kallsyms_tables *t, size_t *at, size_t end)
{
	int length;

	if (*at >= end)
		return -1;
	length = t->bytes[(*at)++];
	if (t->long_names && length & 0x80) {
		if (*at >= end)
			return -1;
		length = (length & 0x7f) | t->bytes[(*at)++] << 7;
	}
	return (size_t)length > end - *at ? -1 : length;
}

/*
 * All symbols, one behind the other, agree with the markers, and end where the markers begin. @left: lengths that may still be looked at, since
 * names can be made up that nearly fit wherever one begins.
 */
static bool names_fit(struct kallsyms_tables *t, uint64_t *left)
{
	size_t at = t->names_at;

	for (uint32_t i = 0; i < t->n_symbols; i++) {
		int length;

		if (*left == 0)
			return false;
		--*left;
		if (i % 256 == 0 &&
		    at - t->names_at != read_u32(t->bytes + t->markers_at + i / 256 * 4))
			return false;
		length = name_length(t, &at, t->markers_at);
		if (length < 0)
			return false;
		at += (size_t)length;
	}
	t->names_bytes = at - t->names_at;
	return t->markers_at - at < 8;
}

static bool marker_follows(const uint8_t *p)
{
	uint32_t before = read_u32(p - 4), here = read_u32(p);

	return here > before && here - before >= MARKER_STEP_MIN &&
	       here - before <= MARKER_STEP_MAX;
}

/*
 * The markers end where the token table begins, but for padding and, in 6.2, 6.3 and those who took
 * it over, three bytes for each symbol. *ret_n: how many there are.
 */
static bool find_markers(const uint8_t *bytes, size_t tokens_at, size_t *ret_at, size_t *ret_n)
{
	size_t lowest = tokens_at > KALLSYMS_BYTES_BEFORE ? tokens_at - KALLSYMS_BYTES_BEFORE : 0;

	for (size_t end = tokens_at & ~(size_t)3, at; end >= lowest + 4 * (MARKERS_RUN + 1);
	     end = at) {
		at = end - 4;
		while (at >= lowest + 4 && marker_follows(bytes + at))
			at -= 4;
		if (read_u32(bytes + at) == 0 && (end - at) / 4 >= MARKERS_RUN) {
			*ret_at = at;
			*ret_n = (end - at) / 4;
			return true;
		}
		/* A run that begins with something else than 0 is none, nor is any part of it. */
	}
	return false;
}

/* num_syms stands right before names, in a slot of 8 bytes before 7.0 and of 4 since. */
static bool find_names(struct kallsyms_tables *t, size_t n_markers)
{
	size_t last = read_u32(t->bytes + t->markers_at + 4 * (n_markers - 1));
	size_t highest = t->markers_at - MIN(last, t->markers_at);
	uint64_t left = LENGTHS_MAX;

	for (size_t at = highest & ~(size_t)3; at >= 16 && highest - at <= MARKER_STEP_MAX; at -= 4)
		for (size_t slot = 4; slot <= 8; slot += 4) {
			t->n_symbols = read_u32(t->bytes + at - slot);
			if (t->n_symbols > KALLSYMS_SYMBOLS_MAX ||
			    (t->n_symbols + 255) / 256 != n_markers)
				continue;
			t->names_at = at;
			t->used_from = at - slot;
			t->long_names = true;
			if (names_fit(t, &left))
				return true;
			t->long_names = false;
			if (names_fit(t, &left))
				return true;
		}
	return false;
}

/* ---- addresses ---- */

static uint64_t symbol_gva(const struct kallsyms_tables *t, uint32_t i)
{
	const uint8_t *entry = t->bytes + t->offsets_at + (size_t)i * 4;
	int32_t o;

	if (t->rule == KALLSYMS_ADDRESSES)
		return read_u64(t->bytes + t->offsets_at + (size_t)i * 8);
	o = (int32_t)read_u32(entry);
	switch (t->rule) {
	case KALLSYMS_ABSOLUTE_PERCPU:
		return o >= 0 ? (uint64_t)o : t->base - 1 - (uint64_t)(int64_t)o;
	case KALLSYMS_BASE_RELATIVE:
		return t->base + (uint32_t)o;
	default:
		return t->bytes_gva + t->offsets_at + (uint64_t)i * 4 + (uint64_t)(int64_t)o;
	}
}

/* Decodes the name of the symbol at *at into @name; its length, type included. */
static size_t expand(const struct kallsyms_tables *t, size_t *at, char *name)
{
	int length = name_length(t, at, t->names_at + t->names_bytes);
	size_t n = 0;

	for (int i = 0; i < length; i++) {
		uint8_t token = t->bytes[(*at)++];
		size_t more = t->token_bytes[token];

		/* A copy of a fixed size is two instructions; what is too much of it is written over. */
		if (more <= KALLSYMS_TOKEN_ROOM && n + KALLSYMS_TOKEN_ROOM <= KALLSYMS_NAME_BYTES) {
			memcpy(name + n, t->token_text[token], KALLSYMS_TOKEN_ROOM);
		} else {
			more = MIN(more, KALLSYMS_NAME_BYTES - n);
			memcpy(name + n, t->bytes + t->tokens_at + t->token_at[token], more);
		}
		n += more;
	}
	name[n] = '\0';
	return n;
}

int kallsyms_tables_each(const struct kallsyms_tables *t,
			 int (*fn)(const struct kallsyms_symbol *symbol, void *data), void *data)
{
	char text[KALLSYMS_NAME_BYTES + 1]; /* the type in front */
	size_t at = t->names_at;
	int r = 0;

	for (uint32_t i = 0; i < t->n_symbols && r == 0; i++) {
		size_t n = expand(t, &at, text);
		struct kallsyms_symbol symbol = {
			.gva = symbol_gva(t, i),
			.type = text[0],
			.name = text + 1,
			.name_bytes = (uint32_t)n - 1,
		};

		if (n > 1)
			r = fn(&symbol, data);
	}
	return r;
}

/* The numbers of "_text" and "_stext" in the table. */
struct anchors {
	uint32_t text, stext;
};

static struct anchors find_anchors(const struct kallsyms_tables *t)
{
	struct anchors found = {UINT32_MAX, UINT32_MAX};
	char text[KALLSYMS_NAME_BYTES + 1];
	size_t at = t->names_at;

	for (uint32_t i = 0; i < t->n_symbols; i++) {
		size_t n = expand(t, &at, text);

		if (n == 6 && streq(text + 1, "_text"))
			found.text = i;
		else if (n == 7 && streq(text + 1, "_stext"))
			found.stext = i;
	}
	return found;
}

static bool rule_holds(const struct kallsyms_tables *t, const struct anchors *anchors,
		       uint64_t text_gva)
{
	if (anchors->text != UINT32_MAX)
		return symbol_gva(t, anchors->text) == text_gva;
	return anchors->stext != UINT32_MAX && symbol_gva(t, anchors->stext) - text_gva < 0x200000;
}

/* Offsets at @offsets_at, the base at @base_at if the rule has one. */
static bool try_rule(struct kallsyms_tables *t, size_t n, size_t offsets_at, size_t base_at,
		     enum kallsyms_rule rule, const struct anchors *anchors, uint64_t text_gva)
{
	size_t bytes = (size_t)t->n_symbols * (rule == KALLSYMS_ADDRESSES ? 8 : 4);
	bool has_base = rule == KALLSYMS_ABSOLUTE_PERCPU || rule == KALLSYMS_BASE_RELATIVE;

	if (offsets_at > n || n - offsets_at < bytes ||
	    (has_base && (base_at > n || n - base_at < 8)))
		return false;
	t->rule = rule;
	t->offsets_at = offsets_at;
	t->base = has_base ? read_u64(t->bytes + base_at) : 0;
	if (!rule_holds(t, anchors, text_gva))
		return false;
	t->used_from = MIN(t->used_from, offsets_at);
	t->used_to = MAX(t->used_to, offsets_at + bytes);
	return true;
}

static bool find_offsets(struct kallsyms_tables *t, size_t n, size_t index_end, uint64_t text_gva)
{
	size_t bytes = ((size_t)t->n_symbols * 4 + 7) & ~(size_t)7, slot = t->names_at - 8;
	size_t behind = align_up(index_end, t->bytes_gva, 8), base_behind;
	struct anchors anchors = find_anchors(t);

	base_behind = align_up(behind + (size_t)t->n_symbols * 4, t->bytes_gva, 8);
	for (int rule = KALLSYMS_ABSOLUTE_PERCPU; rule <= KALLSYMS_BASE_RELATIVE; rule++) {
		if (slot >= bytes + 8 && try_rule(t, n, slot - 8 - bytes, slot - 8,
						  (enum kallsyms_rule)rule, &anchors, text_gva))
			return true;
		if (try_rule(t, n, behind, base_behind, (enum kallsyms_rule)rule, &anchors,
			     text_gva))
			return true;
	}
	if (try_rule(t, n, align_up(index_end, t->bytes_gva, 4), 0, KALLSYMS_PLACE_RELATIVE,
		     &anchors, text_gva))
		return true;
	return slot >= 2 * bytes &&
	       (try_rule(t, n, slot - (size_t)t->n_symbols * 8, 0, KALLSYMS_ADDRESSES, &anchors,
			 text_gva) ||
		try_rule(t, n, behind, 0, KALLSYMS_ADDRESSES, &anchors, text_gva));
}

int kallsyms_tables_parse(const void *bytes, size_t n, uint64_t gva, size_t tokens_at,
			  uint64_t text_gva, struct kallsyms_tables *ret)
{
	struct kallsyms_tables t = {.bytes = bytes, .bytes_gva = gva, .tokens_at = tokens_at};
	size_t n_markers, index_end;

	index_end = load_tokens(&t, n);
	if (index_end == SIZE_MAX)
		return -ENOENT;
	t.used_to = index_end;
	if (!find_markers(bytes, tokens_at, &t.markers_at, &n_markers) ||
	    !find_names(&t, n_markers) || !find_offsets(&t, n, index_end, text_gva))
		return -ENOENT;
	*ret = t;
	return 0;
}

void kallsyms_tables_rebase(struct kallsyms_tables *t, const void *bytes)
{
	size_t by = t->used_from;

	t->bytes = bytes;
	t->bytes_gva += by;
	t->names_at -= by;
	t->markers_at -= by;
	t->tokens_at -= by;
	t->offsets_at -= by;
	t->used_to -= by;
	t->used_from = 0;
}

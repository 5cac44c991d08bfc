/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes a kernel's symbol table as scripts/kallsyms.c of different versions does, small and with
 * known contents: three per-CPU variables (where these have addresses of their own), "_text",
 * KALLSYMS_MADE functions "fn_0", "fn_1", … of 16 bytes each, and one with a name of 200 characters
 * (where lengths may take two bytes).
 */
#ifndef TESTS_UNIT_KALLSYMS_MAKER_H
#define TESTS_UNIT_KALLSYMS_MAKER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef KALLSYMS_MADE
#define KALLSYMS_MADE  2600
#endif
#define KALLSYMS_LONG  200
#define KALLSYMS_BYTES (128u << 10)

struct kallsyms_extra {
	const char *name; /* with the type in front; NULL ends them */
	uint64_t gva;
};

struct kallsyms_form {
	const char *name;
	bool offsets_first;		    /* until 6.3 */
	bool absolute_percpu;		    /* until 6.14 */
	bool place_relative;		    /* since 7.0, with alignment to 4 */
	bool long_names;		    /* since 6.1 */
	bool seqs_in_between;		    /* 6.2, 6.3 and backports */
	bool addresses;			    /* without CONFIG_KALLSYMS_BASE_RELATIVE */
	const struct kallsyms_extra *extra; /* further symbols, at the end */
};

static const struct kallsyms_form kallsyms_forms[] = {
	{.name = "5.4", .offsets_first = true, .absolute_percpu = true},
	{.name = "5.4 with addresses",
	 .offsets_first = true,
	 .absolute_percpu = true,
	 .addresses = true},
	{.name = "6.1", .offsets_first = true, .absolute_percpu = true, .long_names = true},
	{.name = "6.2",
	 .offsets_first = true,
	 .absolute_percpu = true,
	 .long_names = true,
	 .seqs_in_between = true},
	{.name = "6.4", .absolute_percpu = true, .long_names = true},
	{.name = "6.15", .long_names = true},
	{.name = "7.0", .long_names = true, .place_relative = true},
};
#define KALLSYMS_FORMS (sizeof(kallsyms_forms) / sizeof(kallsyms_forms[0]))

struct kallsyms_writer {
	uint8_t *bytes;
	size_t at;
};

static inline void put(struct kallsyms_writer *w, uint64_t value, size_t n)
{
	memcpy(w->bytes + w->at, &value, n);
	w->at += n;
}

static inline void pad_to(struct kallsyms_writer *w, size_t align)
{
	while (w->at % align)
		w->bytes[w->at++] = 0;
}

/* Symbol @i: its name with the type in front, its address; false behind the last. */
static inline bool made_symbol(const struct kallsyms_form *form, uint64_t text_gva, uint32_t i,
			       char name[256], uint64_t *ret_gva)
{
	uint32_t n_percpu = form->absolute_percpu ? 3 : 0;

	if (i < n_percpu) {
		snprintf(name, 256, "Apercpu_%u", i);
		*ret_gva = i * 8;
	} else if (i == n_percpu) {
		strcpy(name, "T_text");
		*ret_gva = text_gva;
	} else if (i <= n_percpu + KALLSYMS_MADE) {
		snprintf(name, 256, "tfn_%u", i - n_percpu - 1);
		*ret_gva = text_gva + (uint64_t)(i - n_percpu - 1) * 16;
	} else if (i == n_percpu + KALLSYMS_MADE + 1 && form->long_names) {
		memset(name, 'x', KALLSYMS_LONG + 1);
		name[0] = 't';
		name[KALLSYMS_LONG + 1] = '\0';
		*ret_gva = text_gva + (uint64_t)KALLSYMS_MADE * 16;
	} else {
		const struct kallsyms_extra *extra = form->extra;

		for (i -= n_percpu + 1 + KALLSYMS_MADE + form->long_names;
		     i && extra && extra->name; i--)
			extra++;
		if (!extra || !extra->name)
			return false;
		snprintf(name, 256, "%s", extra->name);
		*ret_gva = extra->gva;
	}
	return true;
}

static inline uint32_t made_count(const struct kallsyms_form *form)
{
	uint32_t n = (form->absolute_percpu ? 3u : 0u) + 1 + KALLSYMS_MADE + form->long_names;

	for (const struct kallsyms_extra *extra = form->extra; extra && extra->name; extra++)
		n++;
	return n;
}

static inline void put_offsets(struct kallsyms_writer *w, const struct kallsyms_form *form,
			       uint64_t gva, uint64_t text_gva)
{
	char name[256];
	uint64_t address;

	pad_to(w, form->place_relative ? 4 : 8);
	for (uint32_t i = 0; made_symbol(form, text_gva, i, name, &address); i++) {
		if (form->addresses)
			put(w, address, 8);
		else if (form->place_relative)
			put(w, address - (gva + w->at), 4);
		else if (!form->absolute_percpu)
			put(w, address - text_gva, 4);
		else
			put(w, address < text_gva ? address : text_gva - 1 - address, 4);
	}
	if (!form->place_relative && !form->addresses) {
		pad_to(w, 8);
		put(w, text_gva, 8);
	}
}

static inline void put_names(struct kallsyms_writer *w, const struct kallsyms_form *form,
			     uint64_t text_gva, uint32_t *markers)
{
	char name[256];
	uint64_t address;
	size_t start;

	pad_to(w, form->place_relative ? 4 : 8);
	put(w, made_count(form), form->place_relative ? 4 : 8);
	start = w->at;
	for (uint32_t i = 0; made_symbol(form, text_gva, i, name, &address); i++) {
		bool is_function = strncmp(name, "tfn_", 4) == 0; /* token 0xf0 is "tfn_" */
		size_t n = strlen(name) - (is_function ? 3 : 0);

		if (i % 256 == 0)
			markers[i / 256] = (uint32_t)(w->at - start);
		if (n < 0x80)
			put(w, n, 1);
		else
			put(w, (n & 0x7f) | 0x80 | n >> 7 << 8, 2);
		if (is_function)
			put(w, 0xf0, 1);
		for (const char *c = name + (is_function ? 4 : 0); *c; c++)
			put(w, (uint8_t)*c, 1);
	}
	pad_to(w, form->place_relative ? 4 : 8);
}

/* All tables at @gva, for a kernel that begins at @text_gva. Returns how many bytes of @bytes were
 * written. */
static inline size_t make_kallsyms(const struct kallsyms_form *form, uint64_t gva,
				   uint64_t text_gva, uint8_t *bytes)
{
	struct kallsyms_writer w = {.bytes = bytes};
	uint32_t markers[KALLSYMS_MADE / 256 + 2];
	uint16_t index[256];
	size_t tokens_at;

	memset(bytes, 0xcc, 64); /* something else's */
	w.at = 64;
	if (form->offsets_first)
		put_offsets(&w, form, gva, text_gva);
	put_names(&w, form, text_gva, markers);
	for (uint32_t i = 0; i < (made_count(form) + 255) / 256; i++)
		put(&w, markers[i], 4);
	pad_to(&w, form->place_relative ? 4 : 8);
	for (uint32_t i = 0; i < made_count(form) && form->seqs_in_between; i++)
		put(&w, __builtin_bswap32(i * 7919 % made_count(form)) >> 8, 3);
	pad_to(&w, form->place_relative ? 4 : 8);
	tokens_at = w.at;
	for (int token = 0; token < 256; token++) {
		char text[8] = {(char)token};

		if (token == 0xf0)
			strcpy(text, "tfn_");
		else if (token <= ' ' || token >= 0x7f)
			strcpy(text, "er");
		index[token] = (uint16_t)(w.at - tokens_at);
		memcpy(w.bytes + w.at, text, strlen(text) + 1);
		w.at += strlen(text) + 1;
	}
	pad_to(&w, form->place_relative ? 4 : 8);
	memcpy(w.bytes + w.at, index, sizeof(index));
	w.at += sizeof(index);
	if (!form->offsets_first)
		put_offsets(&w, form, gva, text_gva);
	memset(w.bytes + w.at, 0, 64);
	return w.at + 64;
}

#endif

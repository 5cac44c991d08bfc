/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "util/hash.h"
#include "stack_text.h"
#include "text.h"

#define SLOTS_FIRST  4096u
#define TEXTS_LIMIT  (48u << 20)
#define KEYS_LIMIT   (4u << 20) /* words */
#define ADDRESS_COLUMNS 16

void stack_text_deinit(struct stack_text *s)
{
	vec_free(&s->keys);
	vec_free(&s->entries);
	strbuf_deinit(&s->texts);
	free(s->slots);
	s->slots = NULL;
	s->n_slots = 0;
}

static void add_frame(const struct vpmu_frame *frame, struct strbuf *out)
{
	char digits[ADDRESS_COLUMNS + 1] = "                ";
	uint64_t rest = frame->address;
	size_t i = ADDRESS_COLUMNS;

	do
		digits[--i] = "0123456789abcdef"[rest & 15];
	while ((rest >>= 4) && i);
	strbuf_addc(out, '\t');
	strbuf_add(out, digits, ADDRESS_COLUMNS);
	strbuf_addc(out, ' ');
	if (frame->symbol) {
		text_add_clean(out, frame->symbol);
		strbuf_add(out, "+0x", 3);
		strbuf_add_hex(out, frame->symbol_offset);
	} else {
		strbuf_adds(out, "[unknown]");
	}
	strbuf_add(out, " (", 2);
	text_add_clean(out, frame->dso ? frame->dso : "[unknown]");
	strbuf_add(out, ")\n", 2);
	if (frame->src_file) {
		strbuf_add(out, "  ", 2);
		text_add_clean(out, frame->src_file);
		strbuf_addf(out, ":%u\n", frame->src_line);
	}
}

static void format_stack(struct stack_text *s, const struct vpmu_sample *sample, struct strbuf *out)
{
	size_t n = vpmu_symbolize(s->symbolizer, sample, s->lines, s->frames, STACK_FRAMES_MAX);

	for (size_t i = 0; i < n; i++)
		add_frame(&s->frames[i], out);
}

/* The words that the frames' names depend on, behind the keys so far. */
static size_t put_key(struct stack_text *s, const struct vpmu_sample *sample)
{
	size_t n = 3 + sample->n_chain;
	uint64_t *key;

	if (!vec_reserve(&s->keys, n))
		return 0;
	key = s->keys.items + s->keys.n;
	key[0] = (uint64_t)sample->side << 32 | sample->guest;
	key[1] = sample->space;
	key[2] = sample->ip;
	if (sample->n_chain)
		memcpy(key + 3, sample->chain, sample->n_chain * sizeof(*key));
	return n;
}

static bool grow_slots(struct stack_text *s)
{
	size_t n = s->n_slots ? s->n_slots * 2 : SLOTS_FIRST;
	uint32_t *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < s->entries.n; i++) {
		size_t at = s->entries.items[i].hash & (n - 1);

		while (slots[at])
			at = (at + 1) & (n - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(s->slots);
	s->slots = slots;
	s->n_slots = n;
	return true;
}

static void start_over(struct stack_text *s)
{
	s->keys.n = s->entries.n = 0;
	strbuf_clear(&s->texts);
	if (s->slots)
		memset(s->slots, 0, s->n_slots * sizeof(*s->slots));
}

void stack_text_add(struct stack_text *s, const struct vpmu_sample *sample, struct strbuf *out)
{
	const uint64_t *key;
	struct stack_entry *entry;
	size_t n, at, text;
	uint64_t hash;

	if (s->texts.n > TEXTS_LIMIT || s->keys.n > KEYS_LIMIT)
		start_over(s);
	n = put_key(s, sample);
	if (!n || (2 * s->entries.n >= s->n_slots && !grow_slots(s))) {
		format_stack(s, sample, out); /* no memory to remember with */
		return;
	}
	key = s->keys.items + s->keys.n;
	hash = hash_words(n, key, n);
	for (at = hash & (s->n_slots - 1); s->slots[at]; at = (at + 1) & (s->n_slots - 1)) {
		entry = &s->entries.items[s->slots[at] - 1];
		if (entry->hash == hash && entry->n_key == n &&
		    memcmp(s->keys.items + entry->key, key, n * sizeof(*key)) == 0) {
			strbuf_add(out, s->texts.text + entry->text, entry->n_text);
			return;
		}
	}
	text = s->texts.n;
	format_stack(s, sample, &s->texts);
	if (s->texts.failed) {
		out->failed = true;
		return;
	}
	strbuf_add(out, s->texts.text + text, s->texts.n - text);
	if (!vec_push(&s->entries, (struct stack_entry){ hash, s->keys.n, text, (uint32_t)n,
							 (uint32_t)(s->texts.n - text) }))
		return;
	s->keys.n += n;
	s->slots[at] = (uint32_t)s->entries.n;
}

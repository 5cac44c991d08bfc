/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "util/hash.h"
#include "stack_text.h"
#include "text.h"

/*
 * Small enough for the processor's caches: with more the remembering costs as much as it saves
 * (measured).
 */
#define TEXTS_LIMIT	(2u << 20)
#define KEYS_LIMIT	(256u << 10) /* words */
#define ADDRESS_COLUMNS 16

void stack_text_deinit(struct stack_text *s)
{
	vec_free(&s->keys);
	vec_free(&s->entries);
	strbuf_deinit(&s->texts);
	idtable_deinit(&s->table);
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
		strbuf_adds(out, frame->status == VPMU_FRAME_TRUNCATED ? "[truncated]" : "[unknown]");
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

static void start_over(struct stack_text *s)
{
	s->keys.n = s->entries.n = 0;
	strbuf_clear(&s->texts);
	idtable_deinit(&s->table);
}

static const struct stack_entry *find(const struct stack_text *s, uint32_t hash, const uint64_t *key, size_t n)
{
	uint32_t id, i = idtable_first(&s->table, hash);

	for (; (id = idtable_at(&s->table, i, hash)) != IDTABLE_END; i = idtable_step(&s->table, i)) {
		const struct stack_entry *entry = &s->entries.items[id];

		if (id != IDTABLE_OTHER && entry->n_key == n &&
		    memcmp(s->keys.items + entry->key, key, n * sizeof(*key)) == 0)
			return entry;
	}
	return NULL;
}

void stack_text_add(struct stack_text *s, const struct vpmu_sample *sample, struct strbuf *out)
{
	const struct stack_entry *entry;
	size_t n, text = s->texts.n;
	uint32_t hash;

	if (s->texts.n > TEXTS_LIMIT || s->keys.n > KEYS_LIMIT) {
		start_over(s);
		text = 0;
	}
	n = put_key(s, sample);
	if (!n) {
		format_stack(s, sample, out); /* no memory to remember with */
		return;
	}
	hash = (uint32_t)(hash_words(n, s->keys.items + s->keys.n, n) >> 32);
	entry = find(s, hash, s->keys.items + s->keys.n, n);
	if (entry) {
		strbuf_add(out, s->texts.text + entry->text, entry->n_text);
		return;
	}
	format_stack(s, sample, &s->texts);
	if (s->texts.failed) {
		out->failed = true;
		return;
	}
	strbuf_add(out, s->texts.text + text, s->texts.n - text);
	if (!vec_push(&s->entries, (struct stack_entry){ s->keys.n, text, (uint32_t)n,
							 (uint32_t)(s->texts.n - text) }))
		return;
	if (idtable_put(&s->table, hash, (uint32_t)s->entries.n - 1))
		s->keys.n += n;
	else
		s->entries.n--;
}

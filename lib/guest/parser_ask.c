/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "guest/parser_ask.h"
#include "util/cleanup.h"
#include "util/macro.h"

struct asking {
	const struct parser_link *link;
	struct kernel_places *places;
	struct parser_answer *answer;
	uint8_t *room; /* for what is read, behind its result: PARSER_READ_MAX or a struct memory_words */
};

#define ROOM_BYTES (sizeof(int32_t) + MAX((size_t)PARSER_READ_MAX, sizeof(struct memory_words)))

/* ---- memory for the parser ---- */

static int take_read(const struct asking *asking, uint32_t n, struct parser_read *ret, struct memory **ret_memory)
{
	int r;

	if (n != sizeof(*ret))
		return -EBADMSG;
	r = asking->link->receive(asking->link->data, ret, sizeof(*ret));
	if (r < 0)
		return r;
	*ret_memory = ret->place < asking->places->n ? asking->places->memories[ret->place] : NULL;
	return *ret_memory ? 0 : -EBADMSG;
}

static int give(const struct asking *asking, int result, const void *bytes, size_t n)
{
	int32_t code = result;

	memcpy(asking->room, &code, sizeof(code));
	if (n)
		memmove(asking->room + sizeof(code), bytes, n);
	return parser_send(asking->link, PARSER_BYTES, asking->room, sizeof(code) + n);
}

/* Bounds are those of the guest's memory: memory_read_large() reads nothing else. */
static int serve_read(const struct asking *asking, uint32_t n)
{
	struct parser_read read;
	struct memory *memory;
	int r = take_read(asking, n, &read, &memory);

	if (r < 0 || read.n_bytes > PARSER_READ_MAX)
		return r < 0 ? r : -EBADMSG;
	r = memory_read_large(memory, read.gpa, asking->room + sizeof(int32_t), read.n_bytes);
	return give(asking, r, asking->room + sizeof(int32_t), r < 0 ? 0 : read.n_bytes);
}

static int serve_words(const struct asking *asking, uint32_t n)
{
	struct memory_words words = {};
	struct parser_read read;
	struct memory *memory;
	int r = take_read(asking, n, &read, &memory);

	if (r < 0)
		return r;
	r = memory_words(memory, read.gpa, read.n_bytes, read.offset, &words);
	return give(asking, r, words.items, r < 0 ? 0 : words.n * sizeof(words.items[0]));
}

/* ---- what the parser says ---- */

static int take_part(const struct asking *asking, uint32_t n)
{
	struct strbuf *bytes = &asking->answer->bytes;
	char *to;
	int r;

	if (n == 0 || n > PARSER_PART_MAX)
		return -EBADMSG;
	if (bytes->n + n > asking->answer->most_bytes)
		return -E2BIG;
	to = strbuf_reserve(bytes, n);
	if (!to)
		return -ENOMEM;
	r = asking->link->receive(asking->link->data, to, n);
	if (r < 0)
		return r;
	bytes->n += n;
	bytes->text[bytes->n] = '\0';
	return 0;
}

static int take_facts(const struct asking *asking, uint32_t n)
{
	struct kernel_facts facts;
	int r;

	if (n != sizeof(facts))
		return -EBADMSG;
	r = asking->link->receive(asking->link->data, &facts, sizeof(facts));
	if (r == 0)
		r = kernel_facts_check(&facts, asking->places->n);
	if (r < 0)
		return r;
	asking->answer->facts = facts;
	asking->answer->has_facts = true;
	return 0;
}

static int take_done(const struct asking *asking, uint32_t n)
{
	struct parser_done done;
	int r;

	if (n != sizeof(done))
		return -EBADMSG;
	r = asking->link->receive(asking->link->data, &done, sizeof(done));
	if (r < 0)
		return r;
	if (done.result > 0 || done.result < -4095)
		return -EBADMSG;
	done.text[sizeof(done.text) - 1] = '\0';
	for (char *c = done.text; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = '?';
	asking->answer->result = done.result;
	memcpy(asking->answer->text, done.text, sizeof(done.text));
	return 1;
}

/* 1: that was the end. */
static int take_message(const struct asking *asking)
{
	struct parser_head head;
	int r = asking->link->receive(asking->link->data, &head, sizeof(head));

	if (r < 0)
		return r;
	switch (head.kind) {
	case PARSER_READ:
		return serve_read(asking, head.n_bytes);
	case PARSER_WORDS:
		return serve_words(asking, head.n_bytes);
	case PARSER_PART:
		return take_part(asking, head.n_bytes);
	case PARSER_FACTS:
		return take_facts(asking, head.n_bytes);
	case PARSER_DONE:
		return take_done(asking, head.n_bytes);
	default:
		return -EBADMSG;
	}
}

int parser_ask(const struct parser_link *link, struct kernel_places *places, uint32_t kind, const void *bytes, size_t n,
	       struct parser_answer *answer)
{
	_free_ uint8_t *room = malloc(ROOM_BYTES);
	const struct asking asking = {link, places, answer, room};
	int r = room ? parser_send(link, kind, bytes, n) : -ENOMEM;

	answer->bytes.n = 0;
	answer->has_facts = false;
	while (r == 0)
		r = take_message(&asking);
	return r < 0 ? r : 0;
}

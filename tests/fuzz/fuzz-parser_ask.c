/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process says that parses a guest's memory, and may be under the guest's control. */
#include <errno.h>

#include "fuzz.h"
#include "guest/parser_ask.h"
#include "util/cursor.h"

#define ANSWER_BYTES (1u << 20)

static int receive(void *data, void *bytes, size_t n)
{
	const void *from = cursor_bytes(data, n);

	if (!from)
		return -EPIPE;
	memcpy(bytes, from, n);
	return 0;
}

static int send_all(void *data, const void *bytes, size_t n)
{
	(void)data;
	touch(bytes, n);
	return 0;
}

/* Memory that is all alike. */
static int read_bytes(void *data, uint64_t gpa, void *bytes, size_t n)
{
	(void)data;
	HOLDS(gpa < 1u << 30 && n <= PARSER_READ_MAX);
	memset(bytes, 0x55, n);
	return 0;
}

static int read_words(void *data, uint64_t gpa, size_t n_pages, unsigned int offset, struct memory_words *words)
{
	(void)data;
	HOLDS(gpa % PAGE_BYTES == 0 && n_pages <= MEMORY_WORDS_PAGES && offset <= PAGE_BYTES - 8);
	words->n = n_pages;
	memset(words->items, 0x55, n_pages * sizeof(words->items[0]));
	return 0;
}

static const struct memory_remote remote = {read_bytes, read_words, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct memory_segment segments[] = {{0, 640u << 10, 0}, {1u << 20, 31u << 20, 0}};
	struct parser_answer answer = {.most_bytes = ANSWER_BYTES};
	void *copy = exact_copy(bytes, size);
	struct cursor c = cursor_of(copy, size);
	const struct parser_link link = {receive, send_all, &c};
	struct kernel_places places = {.n = 2}; /* one has no memory any more */

	HOLDS(memory_of_remote(&remote, segments, 2, &places.memories[1]) == 0);
	if (parser_ask(&link, &places, PARSER_FIND, NULL, 0, &answer) == 0) {
		HOLDS(answer.result <= 0 && answer.bytes.n <= ANSWER_BYTES);
		touch(answer.bytes.text, answer.bytes.n);
		touch_string(answer.text);
	}
	if (answer.has_facts) {
		touch_string(answer.facts.release);
		touch_string(answer.facts.banner);
		touch_string(answer.facts.build_id);
		HOLDS(answer.facts.place < places.n);
		kernel_watch_check(&answer.facts.watch, places.memories[1]);
	}
	strbuf_deinit(&answer.bytes);
	memory_free(places.memories[1]);
	free(copy);
	return 0;
}

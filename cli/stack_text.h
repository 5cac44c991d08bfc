/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frames of a sample as text, remembered: samples come back to the same stacks all the time,
 * and copying a text is several times cheaper than naming and formatting a dozen addresses again.
 * Bounded: when it is full it starts over.
 */
#ifndef CLI_STACK_TEXT_H
#define CLI_STACK_TEXT_H

#include <vpmu/symbolize.h>
#include "util/idtable.h"
#include "util/strbuf.h"
#include "util/vec.h"

/* Deeper stacks are cut. (The kernel's own limit is 127 unless an administrator raised it.) */
#define STACK_FRAMES_MAX 2048

struct stack_entry {
	size_t key, text;
	uint32_t n_key, n_text;
};

struct stack_text {
	struct vpmu_symbolizer *symbolizer;
	bool lines; /* source lines behind each frame */
	struct vpmu_frame frames[STACK_FRAMES_MAX];

	VEC(uint64_t) keys; /* what tells stacks apart, one run of words for each */
	struct strbuf texts;
	VEC(struct stack_entry) entries;
	struct idtable table; /* of entries */
};

void stack_text_deinit(struct stack_text *s);

/* Appends one line a frame, "\t   ADDRESS SYMBOL+0xOFFSET (DSO)\n", innermost first. */
void stack_text_add(struct stack_text *s, const struct vpmu_sample *sample, struct strbuf *out);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A question to a parser, from the side that has the rights: reads memory for it meanwhile, and takes the answer as that of an enemy. */
#ifndef GUEST_PARSER_ASK_H
#define GUEST_PARSER_ASK_H

#include "guest/kernel_facts.h"
#include "guest/kernel_places.h"
#include "guest/parser_wire.h"
#include "util/strbuf.h"

struct parser_answer {
	size_t most_bytes;	   /* set by who asks: more is refused */
	struct strbuf bytes;
	struct kernel_facts facts; /* if has_facts; checked */
	bool has_facts;
	int result;		   /* what the parser says */
	char text[sizeof(((struct parser_done *)NULL)->text)];
};

/*
 * 0: there is an answer, good or bad. -EBADMSG: nothing that a parser says; -E2BIG: more than was to be expected; -ENOMEM; what the
 * link gave. After any of these the parser is of no use any more.
 */
int parser_ask(const struct parser_link *link, struct kernel_places *places, uint32_t kind, const void *bytes, size_t n,
	       struct parser_answer *answer);

#endif

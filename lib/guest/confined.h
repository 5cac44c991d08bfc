/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's kernel that is looked at by a process of its own (parser_process.h), seen from the process that has the rights. It
 * has one while it is used; if it is not for a while, or the parser fails, that ends, and the next question starts another, which goes
 * on from the facts that the first one found. Not to be used by two threads at once.
 */
#ifndef GUEST_CONFINED_H
#define GUEST_CONFINED_H

#include "guest/parser_ask.h"

struct confined;

/*
 * Finds the kernel in @places, which are taken over. Errors: as kernel_places_find(); -EIO: the parser failed, and *reterr says how.
 */
int confined_open(struct kernel_places *places, pid_t guest, struct confined **ret_confined, struct vpmu_error *reterr);
struct confined *confined_free(struct confined *confined);
DEFINE_CLEANUP(struct confined *, confined_free)

const struct kernel_facts *confined_facts(const struct confined *confined);
uint64_t confined_memory_bytes(const struct confined *confined);
/* The process that there is now; 0 = none. */
pid_t confined_parser(const struct confined *confined);

/*
 * 0 and answer->bytes; what the parser says (answer->result), with its text as the error; -EIO: it failed; -EAGAIN: it failed a moment
 * ago, or such questions took too much time (conduct.h); -ENOMEM. The answer's bytes are whatever they are.
 */
int confined_ask(struct confined *confined, uint32_t kind, const void *bytes, size_t n, struct parser_answer *answer,
		 struct vpmu_error *reterr);

/* Is it the same boot? Asks no parser, and ends one that idles. 0, -ESTALE, -ESRCH. */
int confined_check(struct confined *confined);

#endif

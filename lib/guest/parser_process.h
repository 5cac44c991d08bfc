/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that parse guests' memory, seen from the one that has rights: one for each guest's kernel that is looked at, as long as it is
 * used. They come from a nursery, which is this program started once more (its name, and nothing of its memory), gives up its rights
 * and from then on forks: a new parser takes less than a millisecond and shares all that it does not change.
 *
 * The nursery is started when first needed, and again if it ends. All of this may be called from any thread.
 */
#ifndef GUEST_PARSER_PROCESS_H
#define GUEST_PARSER_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmu/error.h>

/* Questions to a nursery; a PARSER_START has the parser's end of a socket pair with it. */
enum nursery_kind { NURSERY_START = 1, NURSERY_END };
struct nursery_question {
	uint32_t kind;
	int32_t pid;	 /* NURSERY_END */
	uint32_t hung_up; /* it has closed its socket: it ends by itself, or is about to */
};
/* NURSERY_START: a pid or a negative errno. NURSERY_END: how it ended, as waitpid() says; -1 if it had to be killed. */
typedef int32_t nursery_answer;

/* Is parsing to be done in such processes? What vpmu_parser_use() was told. */
bool parser_processes_used(void);
/* Is it over with? Who waits for a parser looks from time to time. */
bool parser_processes_stopped(void);

/*
 * What this thread asks parsers from now on it waits for until *@until_ns (CLOCK_MONOTONIC; 0 = as long as the question may take),
 * which another thread may change meanwhile. NULL: as if it were 0.
 */
void parser_processes_await_until(const atomic_uint_least64_t *until_ns);
bool parser_processes_awaited(void);

/* *ret_fd: a socket to the new parser. Errors: -EAGAIN (the nursery failed a moment ago), what starting it gave. */
int parser_process_start(int *ret_fd, pid_t *ret_pid, struct vpmu_error *reterr);

/* Ends it, if it did not end by itself. @hung_up: reading from it gave an end. @how: what happened, in words; "" if nothing was wrong with it. */
#define PARSER_HOW_BYTES 64
void parser_process_end(int fd, pid_t pid, bool hung_up, char how[PARSER_HOW_BYTES]);

#endif

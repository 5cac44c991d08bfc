/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A parser: answers questions about one guest's memory, which it reads through the other side (guest/parser_wire.h). */
#ifndef SYM_PARSER_SERVE_H
#define SYM_PARSER_SERVE_H

#include "guest/parser_wire.h"

/* Until the other side hangs up: 0; or what went wrong with the link. Who asks is trusted; the memory is not. */
int parser_serve(const struct parser_link *link);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The texts of vpmud's replies, for as long as what is made of them: a reply goes when the next one comes. */
#ifndef CLI_REPLY_TEXTS_H
#define CLI_REPLY_TEXTS_H

#include <stdbool.h>
#include <stdint.h>
#include "util/intern.h"
#include "util/vec.h"

struct reply_texts {
	struct intern *strings; /* intern_new() */
	VEC(const char *) guests; /* names, of strings; by number */
};

void reply_texts_deinit(struct reply_texts *texts);

/* The kept copy of @text; NULL if there is no memory. */
const char *reply_text(struct reply_texts *texts, const char *text);

/* The number of the guest @name, a new one if it is new. False: no memory. */
bool reply_guest(struct reply_texts *texts, const char *name, uint32_t *ret_guest);

#endif

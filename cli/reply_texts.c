/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reply_texts.h"
#include "util/macro.h"

void reply_texts_deinit(struct reply_texts *texts)
{
	vec_free(&texts->guests);
	intern_free(texts->strings);
}

const char *reply_text(struct reply_texts *texts, const char *text)
{
	uint32_t id = intern_add(texts->strings, text);

	return id == INTERN_FAILED ? NULL : intern_string(texts->strings, id);
}

bool reply_guest(struct reply_texts *texts, const char *name, uint32_t *ret_guest)
{
	const char *kept;

	for (size_t i = 0; i < texts->guests.n; i++)
		if (streq(texts->guests.items[i], name)) {
			*ret_guest = (uint32_t)i;
			return true;
		}
	kept = reply_text(texts, name);
	*ret_guest = (uint32_t)texts->guests.n;
	return kept && vec_push(&texts->guests, kept);
}

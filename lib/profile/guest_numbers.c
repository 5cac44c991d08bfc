/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "profile/guest_numbers.h"
#include "util/strbuf.h"
#include "util/vec.h"

#define NOBODY UINT32_MAX

/* Guests are found by strings of these kinds. */
#define BY_UUID	       'u'
#define NAME_ALONE     'n' /* of a guest that has no UUID */
#define NAME_WITH_UUID 'w'

struct numbering {
	struct intern *keys;
	VEC(uint32_t) guests; /* by key */
	struct strbuf room;
	uint32_t n;
};

static void numbering_deinit(struct numbering *numbering)
{
	intern_free(numbering->keys);
	vec_free(&numbering->guests);
	strbuf_deinit(&numbering->room);
}

/* Where the number of the guest with this key is, or is to be; valid until the next call. NULL = out of memory. */
static uint32_t *slot_of(struct numbering *numbering, char kind, const char *string)
{
	uint32_t id;

	strbuf_clear(&numbering->room);
	strbuf_addc(&numbering->room, kind);
	strbuf_adds(&numbering->room, string);
	id = numbering->room.failed ? INTERN_FAILED : intern_add(numbering->keys, numbering->room.text);
	if (id == INTERN_FAILED)
		return NULL;
	while (numbering->guests.n <= id)
		if (!vec_push(&numbering->guests, NOBODY))
			return NULL;
	return &numbering->guests.items[id];
}

/* What @kind and @string say, if *number is not known by then. */
static int look(struct numbering *numbering, char kind, const char *string, uint32_t *number)
{
	const uint32_t *slot = *number == NOBODY ? slot_of(numbering, kind, string) : number;

	if (!slot)
		return -ENOMEM;
	*number = *slot;
	return 0;
}

/* The first one of a key keeps it. */
static int remember(struct numbering *numbering, char kind, const char *string, uint32_t number)
{
	uint32_t *slot = slot_of(numbering, kind, string);

	if (!slot)
		return -ENOMEM;
	if (*slot == NOBODY)
		*slot = number;
	return 0;
}

/* Two guests of one profile are never one because of their names. */
static int number_guest(struct numbering *numbering, const char *name, const char *uuid, bool is_base, uint32_t *ret)
{
	uint32_t number = NOBODY;
	int r = 0;

	if (*uuid)
		r = look(numbering, BY_UUID, uuid, &number);
	if (r >= 0 && !is_base)
		r = look(numbering, NAME_ALONE, name, &number);
	if (r >= 0 && !is_base && !*uuid)
		r = look(numbering, NAME_WITH_UUID, name, &number);
	if (number == NOBODY)
		number = numbering->n++;
	if (r >= 0 && *uuid)
		r = remember(numbering, BY_UUID, uuid, number);
	if (r >= 0 && is_base)
		r = remember(numbering, *uuid ? NAME_WITH_UUID : NAME_ALONE, name, number);
	*ret = number;
	return r;
}

int guest_numbers(const struct profile_view views[2], uint32_t *ret_numbers[2])
{
	__attribute__((cleanup(numbering_deinit))) struct numbering numbering = { .keys = intern_new() };
	int r = numbering.keys ? 0 : -ENOMEM;

	for (int half = 0; half < 2; half++) {
		const struct profile_view *view = &views[half];

		ret_numbers[half] = calloc(view->n_guests + 1, sizeof(**ret_numbers));
		if (!ret_numbers[half])
			r = -ENOMEM;
		for (size_t i = 0; r >= 0 && i < view->n_guests; i++)
			r = number_guest(&numbering, intern_string(view->strings, view->guests[i].name),
					 intern_string(view->strings, view->guests[i].uuid), half == 0,
					 &ret_numbers[half][i]);
	}
	return r;
}

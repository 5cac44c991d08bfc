/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "profile/select.h"
#include "util/error.h"
#include "util/strbuf.h"

static int no_such_guest(const struct profile_view *view, const char *name,
			 struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf known = {};

	for (size_t i = 0; i < view->n_guests; i++) {
		strbuf_adds(&known, i ? ", " : "");
		strbuf_adds(&known, intern_string(view->strings, view->guests[i].name));
	}
	error_set(reterr, -ENOENT, "no guest '%s' in this profile", name);
	if (view->n_guests)
		error_hint(reterr, "it has: %s", known.text ? known.text : "");
	else
		error_hint(reterr, "it has no guests at all: was it recorded of a virtual machine?");
	return -ENOENT;
}

int selection_init(struct selection *selection, const struct profile_view *view, uint32_t event,
		   unsigned int sides, const char *const *names, size_t n_names,
		   struct vpmu_error *reterr)
{
	_free_ bool *guests = NULL;

	if (names) {
		guests = calloc(view->n_guests + 1, sizeof(*guests));
		if (!guests)
			return error_oom(reterr);
	}
	for (size_t n = 0; names && n < n_names; n++) {
		bool found = false;

		for (size_t i = 0; i < view->n_guests; i++) {
			const struct profile_guest *g = &view->guests[i];

			if (!streq(names[n], intern_string(view->strings, g->name)) &&
			    !streq(names[n], intern_string(view->strings, g->uuid)))
				continue;
			guests[i] = found = true;
		}
		if (!found)
			return no_such_guest(view, names[n], reterr);
	}
	*selection = (struct selection){
		.event = event,
		.sides = sides ? sides : VPMU_SIDES_ALL,
		.guests = take_ptr(guests),
	};
	return 0;
}

void selection_deinit(struct selection *selection)
{
	free(selection->guests);
	selection->guests = NULL;
}

void selection_describe_sides(unsigned int sides, char *text, size_t text_bytes)
{
	_strbuf_ struct strbuf b = {};

	if ((sides & VPMU_SIDES_ALL) == VPMU_SIDES_ALL || !sides)
		sides = 0;
	else if (sides == VPMU_SIDES_GUEST || sides == VPMU_SIDES_HOST)
		strbuf_adds(&b, sides == VPMU_SIDES_GUEST ? "guest " : "host ");
	else
		for (unsigned int side = 0; side < VPMU_SIDE_COUNT; side++)
			if (sides & 1u << side)
				strbuf_addf(&b, "%s%s ", b.n ? "or " : "", vpmu_side_name(side));
	snprintf(text, text_bytes, "%s", b.text ? b.text : "");
}

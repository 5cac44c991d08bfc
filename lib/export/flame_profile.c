/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "export/flame_profile.h"
#include "export/writer.h"
#include "util/cleanup.h"

#define UNKNOWN UINT32_MAX

/* Numbers of the profile's frames in the graph; those of frames that run in a guest's process and in others. */
struct adding {
	struct flame *flame;
	struct profile_view view;
	unsigned int levels;
	bool knows_processes; /* of guests */
	uint32_t *numbers;
	struct strbuf name;
};

static enum flame_kind kind_of(const struct profile_frame *frame, uint32_t guest)
{
	switch ((enum vpmu_side)frame->side) {
	case VPMU_SIDE_GUEST_KERNEL:
		return FLAME_GUEST_KERNEL;
	case VPMU_SIDE_GUEST_USER:
		return FLAME_GUEST_USER;
	case VPMU_SIDE_HOST_KERNEL:
		return FLAME_HOST_KERNEL;
	case VPMU_SIDE_HOST_USER:
		return guest == VPMU_NO_GUEST ? FLAME_HOST_USER : FLAME_VMM;
	case VPMU_SIDE_HYPERVISOR:
		return FLAME_HYPERVISOR;
	case VPMU_SIDE_UNKNOWN:
		break;
	}
	return FLAME_UNKNOWN;
}

/* An address of one guest's memory means nothing in another's (profile/diff.c). */
static bool belongs_to_guest(const struct profile_frame *frame)
{
	return frame->status != VPMU_FRAME_OK && frame->status != VPMU_FRAME_OPAQUE &&
	       frame->status != VPMU_FRAME_TRUNCATED && frame->status != VPMU_FRAME_NESTED && (VPMU_SIDES_GUEST & 1u << frame->side);
}

void flame_guest_key(const struct profile_view *view, uint32_t guest, struct strbuf *key)
{
	const char *uuid = guest == VPMU_NO_GUEST ? "" : intern_string(view->strings, view->guests[guest].uuid);

	strbuf_addf(key, "%s%s%s", export_guest_name(view, guest), *uuid ? "\n" : "", uuid);
}

/* Guests of one name are told apart by their UUIDs. */
static uint32_t guest_label(struct adding *a, uint32_t guest)
{
	struct flame_frame made = { .name = flame_string(a->flame, export_guest_name(&a->view, guest)) };

	if (guest != VPMU_NO_GUEST)
		made.owner = flame_string(a->flame, intern_string(a->view.strings, a->view.guests[guest].uuid));
	return flame_frame(a->flame, &made);
}

static uint32_t make_frame(struct adding *a, const struct profile_frame *frame, uint32_t guest)
{
	struct flame_frame made = { .kind = (uint8_t)kind_of(frame, guest), .status = frame->status };

	strbuf_clear(&a->name);
	export_place_name(&a->view, frame, &a->name);
	if (a->name.failed) {
		a->flame->failed = true;
		return 0;
	}
	made.name = flame_string(a->flame, a->name.text);
	if (a->flame->compares && belongs_to_guest(frame)) {
		strbuf_clear(&a->name);
		flame_guest_key(&a->view, guest, &a->name);
		made.owner = flame_string(a->flame, a->name.text);
	}
	made.file = flame_string(a->flame, intern_string(a->view.strings, frame->dso));
	return flame_frame(a->flame, &made);
}

static uint32_t frame_of(struct adding *a, uint32_t id, uint32_t guest)
{
	const struct profile_frame *frame = &a->view.frames[id];
	uint32_t *number = &a->numbers[2 * (size_t)id + (guest == VPMU_NO_GUEST)];

	if (a->flame->compares && belongs_to_guest(frame))
		return make_frame(a, frame, guest);
	if (*number == UNKNOWN)
		*number = make_frame(a, frame, guest);
	return *number;
}

static void push_levels(struct adding *a, const struct profile_entry *e)
{
	bool in_guest = VPMU_SIDES_GUEST & 1u << e->side;
	const char *process = intern_string(a->view.strings, e->process);

	if (a->levels & FLAME_BY_GUEST)
		flame_push(a->flame, guest_label(a, e->guest));
	if (!(a->levels & FLAME_BY_PROCESS) || !*process)
		return;
	if (e->guest == VPMU_NO_GUEST || (in_guest && a->knows_processes))
		flame_push(a->flame, flame_label(a->flame, process));
}

int flame_add_profile(struct flame *flame, const struct vpmu_profile *profile, const struct selection *selection,
		      unsigned int levels, int column)
{
	struct adding a = { .flame = flame, .levels = levels };
	_free_ uint32_t *numbers = NULL;
	struct vpmu_coverage coverage;
	int r = profile_view(profile, &a.view);

	if (r < 0)
		return r;
	vpmu_profile_coverage(profile, &coverage);
	a.knows_processes = coverage.guest_processes;
	a.numbers = numbers = malloc((a.view.n_frames + 1) * 2 * sizeof(*numbers));
	if (!numbers)
		return -ENOMEM;
	memset(numbers, 0xff, a.view.n_frames * 2 * sizeof(*numbers));
	for (size_t i = 0; i < a.view.n_entries && !flame->failed; i++) {
		const struct profile_entry *e = &a.view.entries[i];
		size_t n;
		const uint32_t *frames = export_stack(&a.view, e, &n);

		if (!selection_has(selection, e) || !e->samples)
			continue;
		push_levels(&a, e);
		while (n--)
			flame_push(flame, frame_of(&a, frames[n], e->guest));
		flame_end_stack(flame, column == 1 ? 0 : e->samples,
				column < 0 ? e->weight : column == 1 ? e->samples : 0);
	}
	strbuf_deinit(&a.name);
	return flame->failed ? -ENOMEM : 0;
}

const char *flame_chains_note(const struct profile_view *view, const struct selection *selection)
{
	for (size_t i = 0; i < view->n_entries; i++)
		if (view->entries[i].stack != PROFILE_NO_STACK && selection_has(selection, &view->entries[i]))
			return NULL;
	return "there are no call chains in the profile: what is recorded with -g has them";
}

bool *flame_guests_seen(const struct profile_view *view, const struct selection *selection)
{
	bool *seen = calloc(view->n_guests + 1, sizeof(*seen));

	for (size_t i = 0; seen && i < view->n_entries; i++) {
		const struct profile_entry *e = &view->entries[i];

		if (e->guest != VPMU_NO_GUEST && e->samples && selection_has(selection, e))
			seen[e->guest] = true;
	}
	return seen;
}

void flame_describe_guests(const struct profile_view *view, const struct selection *selection, struct strbuf *b)
{
	_free_ bool *seen = flame_guests_seen(view, selection);
	size_t n = 0;

	for (uint32_t i = 0; seen && i < view->n_guests; i++)
		if (seen[i])
			flame_add_guest(b, n++, export_guest_name(view, i));
	flame_end_guests(b, n);
	b->failed |= !seen;
}

/* A title has so many. */
#define GUESTS_NAMED 3

void flame_add_guest(struct strbuf *b, size_t i, const char *name)
{
	if (i < GUESTS_NAMED)
		strbuf_addf(b, "%s%s", i ? ", " : "", name);
}

void flame_end_guests(struct strbuf *b, size_t n)
{
	if (n > GUESTS_NAMED)
		strbuf_addf(b, " and %zu more", n - GUESTS_NAMED);
	else if (!n)
		strbuf_adds(b, "[no guest]");
}

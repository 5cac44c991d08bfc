/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "profile/tables.h"
#include "util/hash.h"
#include "util/macro.h"

int tables_init(struct profile_tables *tables)
{
	*tables = (struct profile_tables){};
	tables->strings = intern_new();
	return tables->strings ? 0 : -ENOMEM;
}

void tables_deinit(struct profile_tables *tables)
{
	tables->strings = intern_free(tables->strings);
	vec_free(&tables->events);
	vec_free(&tables->guests);
	vec_free(&tables->frames);
	vec_free(&tables->stacks);
	vec_free(&tables->stack_frames);
	vec_free(&tables->entries);
	idtable_deinit(&tables->frame_ids);
	idtable_deinit(&tables->stack_ids);
	idtable_deinit(&tables->entry_ids);
}

#define TRIM(v)                                                                                    \
	do {                                                                                       \
		void *smaller = (v)->n ? realloc((v)->items, (v)->n * sizeof(*(v)->items)) : NULL; \
                                                                                                   \
		if (smaller) {                                                                     \
			(v)->items = smaller;                                                      \
			(v)->room = (v)->n;                                                        \
		}                                                                                  \
	} while (0)

void tables_trim(struct profile_tables *t)
{
	TRIM(&t->frames);
	TRIM(&t->stacks);
	TRIM(&t->stack_frames);
	TRIM(&t->entries);
}

static uint64_t pair(uint32_t a, uint32_t b)
{
	return a | (uint64_t)b << 32;
}

int tables_event(struct profile_tables *t, const struct profile_event *event)
{
	return vec_push(&t->events, *event) ? 0 : -ENOMEM;
}

/* There are few guests: tens on a node, a handful in a recording. */
uint32_t tables_guest(struct profile_tables *t, uint32_t name, uint32_t uuid)
{
	for (uint32_t i = 0; i < t->guests.n; i++)
		if (t->guests.items[i].name == name && t->guests.items[i].uuid == uuid)
			return i;
	if (!vec_push(&t->guests, (struct profile_guest){ .name = name, .uuid = uuid }))
		return UINT32_MAX;
	return (uint32_t)t->guests.n - 1;
}

static bool frame_same(const struct profile_frame *a, const struct profile_frame *b)
{
	return a->symbol == b->symbol && a->dso == b->dso && a->build_id == b->build_id &&
	       a->src_file == b->src_file && a->src_line == b->src_line && a->side == b->side &&
	       a->status == b->status;
}

uint32_t tables_frame(struct profile_tables *t, const struct profile_frame *frame)
{
	uint64_t h =
		hash_mix(pair(frame->symbol, frame->dso), pair(frame->build_id, frame->src_file));
	uint32_t hash =
		(uint32_t)hash_mix(h, pair(frame->src_line, frame->side | frame->status << 8));
	uint32_t id, i = idtable_first(&t->frame_ids, hash);

	for (; (id = idtable_at(&t->frame_ids, i, hash)) != IDTABLE_END;
	     i = idtable_step(&t->frame_ids, i))
		if (id != IDTABLE_OTHER && frame_same(&t->frames.items[id], frame))
			return id;
	id = (uint32_t)t->frames.n;
	if (!vec_push(&t->frames, *frame))
		return UINT32_MAX;
	if (idtable_put(&t->frame_ids, hash, id))
		return id;
	t->frames.n--;
	return UINT32_MAX;
}

uint32_t tables_stack_hash(const uint32_t *frames, size_t n)
{
	uint64_t h = n;
	size_t i;

	for (i = 0; i + 2 <= n; i += 2)
		h = hash_mix(h, pair(frames[i], frames[i + 1]));
	return (uint32_t)hash_mix(h, i < n ? frames[i] : 0);
}

uint32_t tables_stack(struct profile_tables *t, const uint32_t *frames, size_t n, uint32_t hash)
{
	uint32_t id, i = idtable_first(&t->stack_ids, hash);

	for (; (id = idtable_at(&t->stack_ids, i, hash)) != IDTABLE_END;
	     i = idtable_step(&t->stack_ids, i)) {
		if (id == IDTABLE_OTHER || t->stacks.items[id].n != n)
			continue;
		if (!n || memcmp(t->stack_frames.items + t->stacks.items[id].first, frames,
				 n * sizeof(*frames)) == 0)
			return id;
	}
	id = (uint32_t)t->stacks.n;
	if (t->stack_frames.n + n > UINT32_MAX || !vec_reserve(&t->stack_frames, n) ||
	    !vec_reserve(&t->stacks, 1) || !idtable_put(&t->stack_ids, hash, id))
		return UINT32_MAX;
	t->stacks.items[t->stacks.n++] =
		(struct profile_stack){ .first = (uint32_t)t->stack_frames.n, .n = (uint32_t)n };
	if (n)
		memcpy(t->stack_frames.items + t->stack_frames.n, frames, n * sizeof(*frames));
	t->stack_frames.n += n;
	return id;
}

static bool entry_same(const struct profile_entry *a, const struct profile_entry *b)
{
	return a->stack == b->stack && a->leaf == b->leaf && a->process == b->process &&
	       a->vcpu == b->vcpu && a->guest == b->guest && a->event == b->event &&
	       a->side == b->side;
}

uint32_t tables_entry_hash(const struct profile_entry *entry)
{
	uint64_t h = hash_mix(pair(entry->stack, entry->leaf), pair(entry->process, entry->vcpu));

	return (uint32_t)hash_mix(h, pair(entry->guest, entry->event * 8 + entry->side));
}

int tables_count(struct profile_tables *t, const struct profile_entry *entry, uint32_t hash)
{
	uint32_t id, i = idtable_first(&t->entry_ids, hash);

	for (; (id = idtable_at(&t->entry_ids, i, hash)) != IDTABLE_END;
	     i = idtable_step(&t->entry_ids, i)) {
		if (id == IDTABLE_OTHER || !entry_same(&t->entries.items[id], entry))
			continue;
		t->entries.items[id].samples += entry->samples;
		t->entries.items[id].weight += entry->weight;
		return 0;
	}
	id = (uint32_t)t->entries.n;
	if (!vec_reserve(&t->entries, 1) || !idtable_put(&t->entry_ids, hash, id))
		return -ENOMEM;
	t->entries.items[t->entries.n++] = *entry;
	return 0;
}

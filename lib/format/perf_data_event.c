/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The events of a recording. An event that was opened on many threads or CPUs has an id for each,
 * and a record names its event by such an id: a small table with open addressing leads from id to
 * event.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/perf_data_internal.h"
#include "util/hash.h"

static const char *const hardware_names[] = {
	"cycles", "instructions", "cache-references", "cache-misses", "branches", "branch-misses",
	"bus-cycles", "stalled-cycles-frontend", "stalled-cycles-backend", "ref-cycles",
};
static const char *const software_names[] = {
	"cpu-clock", "task-clock", "page-faults", "context-switches", "cpu-migrations",
	"minor-faults", "major-faults", "alignment-faults", "emulation-faults", "dummy",
	"bpf-output", "cgroup-switches",
};

/* For recordings that do not say what their user called the event. */
static int make_name(const struct perf_event_attr *attr, char **ret_name)
{
	const char *known = NULL;
	int r;

	if (attr->type == PERF_TYPE_HARDWARE && attr->config < ARRAY_SIZE(hardware_names))
		known = hardware_names[attr->config];
	if (attr->type == PERF_TYPE_SOFTWARE && attr->config < ARRAY_SIZE(software_names))
		known = software_names[attr->config];
	if (known)
		r = asprintf(ret_name, "%s", known);
	else if (attr->type == PERF_TYPE_TRACEPOINT)
		r = asprintf(ret_name, "tracepoint %" PRIu64, (uint64_t)attr->config);
	else if (attr->type == PERF_TYPE_RAW)
		r = asprintf(ret_name, "r%" PRIx64, (uint64_t)attr->config);
	else
		r = asprintf(ret_name, "type %u config 0x%" PRIx64, attr->type,
			     (uint64_t)attr->config);
	return r < 0 ? -ENOMEM : 0;
}

static void put_id(struct perf_data *data, uint64_t id, uint32_t event)
{
	size_t mask = data->id_table.room - 1;
	size_t i = hash_mix(id, 0) & mask;

	while (data->id_table.ids[i] && data->id_table.ids[i] != id)
		i = (i + 1) & mask;
	data->id_table.n += !data->id_table.ids[i];
	data->id_table.ids[i] = id;
	data->id_table.events[i] = event;
}

/* At most half full, so that a search for an unknown id ends soon. */
static int make_room_for_ids(struct perf_data *data, size_t more)
{
	size_t room = data->id_table.room ?: 64, old_room = data->id_table.room;
	uint64_t *old_ids = data->id_table.ids, *ids;
	uint32_t *old_events = data->id_table.events, *events;

	while (room / 2 < data->id_table.n + more)
		room *= 2;
	if (room == old_room)
		return 0;
	ids = calloc(room, sizeof(*ids));
	events = calloc(room, sizeof(*events));
	if (!ids || !events) {
		free(ids);
		free(events);
		return -ENOMEM;
	}
	data->id_table.ids = ids;
	data->id_table.events = events;
	data->id_table.room = room;
	data->id_table.n = 0;
	for (size_t i = 0; i < old_room; i++)
		if (old_ids[i])
			put_id(data, old_ids[i], old_events[i]);
	free(old_ids);
	free(old_events);
	return 0;
}

int perf_data_find_id(const struct perf_data *data, uint64_t id)
{
	size_t mask = data->id_table.room - 1;

	if (!data->id_table.room || !id)
		return -1;
	for (size_t i = hash_mix(id, 0) & mask; data->id_table.ids[i]; i = (i + 1) & mask)
		if (data->id_table.ids[i] == id)
			return (int)data->id_table.events[i];
	return -1;
}

static void free_slot(struct perf_data_event_slot *slot)
{
	free(slot->name);
	free(slot->ids);
	free(slot);
}

static void free_slotp(struct perf_data_event_slot **slot)
{
	if (*slot)
		free_slot(*slot);
}

/* What an older recorder did not know stays 0, what a newer one added is left out. */
static void read_attr(const void *bytes, size_t n, struct perf_event_attr *ret)
{
	uint32_t size;

	memcpy(&size, (const char *)bytes + offsetof(struct perf_event_attr, size), sizeof(size));
	if (size < PERF_ATTR_SIZE_VER0 || size > n)
		size = (uint32_t)(size == 0 ? PERF_ATTR_SIZE_VER0 : n);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, bytes, MIN(size, sizeof(*ret)));
	ret->size = MIN(size, (uint32_t)sizeof(*ret));
}

int perf_data_add_event(struct perf_data *data, const void *attr, size_t attr_bytes,
			const void *ids, size_t n_ids)
{
	_cleanup_(free_slotp) struct perf_data_event_slot *slot = calloc(1, sizeof(*slot));
	uint32_t index = (uint32_t)data->events.n;
	int r;

	if (!slot)
		return -ENOMEM;
	if (data->events.n >= PERF_DATA_MAX_EVENTS || n_ids > PERF_DATA_MAX_IDS - data->n_ids)
		return -EBADMSG;
	read_attr(attr, attr_bytes, &slot->event.attr);
	perf_layout_init(&slot->event.layout, &slot->event.attr);
	r = make_name(&slot->event.attr, &slot->name);
	if (r < 0)
		return r;
	slot->event.name = slot->name;
	if (n_ids) {
		slot->ids = malloc(n_ids * sizeof(*slot->ids));
		if (!slot->ids)
			return -ENOMEM;
		memcpy(slot->ids, ids, n_ids * sizeof(*slot->ids));
	}
	slot->event.ids = slot->ids;
	slot->event.n_ids = n_ids;
	r = make_room_for_ids(data, n_ids);
	if (r < 0)
		return r;
	if (!vec_push(&data->events, slot))
		return -ENOMEM;
	for (size_t i = 0; i < n_ids; i++)
		if (slot->ids[i])
			put_id(data, slot->ids[i], index);
	data->n_ids += n_ids;
	slot = NULL; /* the list's now */
	return 0;
}

int perf_data_name_event(struct perf_data *data, size_t i, const char *name)
{
	struct perf_data_event_slot *slot = data->events.items[i];
	char *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	free(slot->name);
	slot->event.name = slot->name = copy;
	return 0;
}

void perf_data_deinit_events(struct perf_data *data)
{
	vec_for_each(slot, &data->events)
		free_slot(*slot);
	vec_free(&data->events);
	free(data->id_table.ids);
	free(data->id_table.events);
}

size_t perf_data_n_events(const struct perf_data *data)
{
	return data->events.n;
}

const struct perf_data_event *perf_data_event(const struct perf_data *data, size_t i)
{
	return i < data->events.n ? &data->events.items[i]->event : NULL;
}

/*
 * All events of a recording have their ids in the same places (perf sees to that:
 * evlist__valid_sample_type()), so the first one's layout finds the id of any record. Records that
 * perf made up have id 0 and count as the first event's.
 */
int perf_data_event_of(const struct perf_data *data, const struct perf_event_header *record)
{
	uint64_t id;

	if (data->events.n <= 1)
		return data->events.n ? 0 : -1;
	id = perf_record_event_id(&data->events.items[0]->event.layout, record);
	return id ? perf_data_find_id(data, id) : 0;
}

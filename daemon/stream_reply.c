/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>
#include <stdio.h>

#include "access.h"
#include "client/meter_shapes.h"
#include "count_grants.h"
#include "count_row.h"
#include "domains.h"
#include "stream_reply.h"

#define ALL_KEYS ((1u << VPMU_EXIT_KEY_COUNT) - 1)

/* ---- in the pool ---- */

static void add_exits(struct stream_reply *reply, const struct reading *reading)
{
	unsigned int keys = reply->keys;

	snprintf(reply->silent, sizeof(reply->silent), "%s", vpmu_exits_silent(reading->exits));
	reply->losses = reading->rows;
	/* Where no exits are to be seen, what is: the events by themselves. */
	if (reply->silent[0] && keys == 1u << VPMU_EXIT_REASON)
		keys = ALL_KEYS;
	for (size_t i = 0; i < reading->rows.n; i++) {
		const struct vpmu_exit *exit = &reading->rows.items[i];
		struct vpmu_frame frame = { .status = VPMU_FRAME_NO_SYMBOLS };

		if (!(keys >> exit->key & 1))
			continue;
		/* A guest's guest has other symbols. */
		if (exit->key == VPMU_EXIT_ADDRESS && !exit->nested)
			vpmu_exits_symbol(reading->exits, exit->guest, exit->value, &frame);
		json_append(reply->rows, shape_exit(exit, reading->name, &frame, &reading->rows, SHAPE_TEXT));
	}
}

/* Filled in in the loop, which knows. */
static const char *guest_of_nobody(pid_t pid, const void *data)
{
	(void)pid;
	(void)data;
	return NULL;
}

void stream_reply_add(struct stream_reply *reply, const struct reading *reading)
{
	if (!reply->rows)
		reply->rows = json_new_array();
	for (size_t i = 0; i < reading->counts.n; i++)
		json_append(reply->rows, count_row_json(reading->name, &reading->counts.items[i],
							count_grants_note(reading->grants, &reading->counts.items[i])));
	if (reading->exits)
		add_exits(reply, reading);
	for (size_t i = 0; i < reading->times.n; i++)
		json_append(reply->rows,
			    shape_clock(&reading->times.items[i], reading->name, guest_of_nobody, NULL, SHAPE_TEXT));
}

/* ---- in the loop ---- */

static const char *guest_of_pid(const struct domains *domains, int64_t pid)
{
	const struct domain *domain;

	for (size_t i = 0; pid > 0 && (domain = domains_get(domains, i)); i++)
		if (domain->running && domain->guest.pid == pid)
			return domain->name;
	return NULL;
}

static void name_competitors(struct json_object *vcpus, struct manager *manager, const struct peer *peer)
{
	bool sees_all = access_sees_all(manager->access, peer);

	for (size_t i = 0; i < json_object_array_length(vcpus); i++) {
		struct json_object *vcpu = json_object_array_get_idx(vcpus, i), *list;

		if (!sees_all) {
			json_put(vcpu, "competitors", json_new_array());
			continue;
		}
		if (!json_object_object_get_ex(vcpu, "competitors", &list))
			continue;
		for (size_t k = 0; k < json_object_array_length(list); k++) {
			struct json_object *competitor = json_object_array_get_idx(list, k), *pid;

			if (json_object_object_get_ex(competitor, "pid", &pid))
				json_put_string(competitor, "guest",
						guest_of_pid(manager->domains, json_object_get_int64(pid)));
		}
	}
}

struct json_object *stream_reply_take(struct stream_reply *reply, struct manager *manager, const struct peer *peer,
				      uint64_t start_ns, uint64_t end_ns)
{
	struct json_object *interval = json_new_object(), *rows = reply->rows ? reply->rows : json_new_array();

	reply->rows = NULL;
	json_put_big(interval, "start_ns", start_ns);
	json_put_big(interval, "end_ns", end_ns);
	if (reply->what == STREAM_EXITS)
		shape_exit_losses(interval, &reply->losses, reply->silent, SHAPE_TEXT);
	if (reply->what == STREAM_TIME)
		name_competitors(rows, manager, peer);
	json_put(interval, reply->what == STREAM_TIME ? "vcpus" : "rows", rows);
	return interval;
}

void stream_reply_deinit(struct stream_reply *reply)
{
	json_object_put(reply->rows);
}

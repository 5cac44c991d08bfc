/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vpmud's Top tells. Other keys to sort by take another call: vpmud counts by what was asked for. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"
#include "json.h"
#include "json_read.h"
#include "period.h"
#include "remote.h"
#include "top.h"

struct vcpu_text {
	char text[16];
};

struct remote {
	struct top *top;
	struct json_object *reply; /* the one that is shown: rows' strings are its */
	VEC(struct vpmu_row) rows;
	VEC(struct vcpu_text) vcpus; /* as text, by row */
	struct top_view view;
	unsigned int version;
	bool over;
	struct vpmu_error *reterr;
};

static void remote_deinit(struct remote *remote)
{
	remote_reply_free(&remote->reply);
	vec_free(&remote->rows);
	vec_free(&remote->vcpus);
}

static enum vpmu_frame_status status_of(const char *name)
{
	for (int i = 0; i < VPMU_FRAME_STATUS_COUNT; i++)
		if (streq(name, vpmu_frame_status_name((enum vpmu_frame_status)i)))
			return (enum vpmu_frame_status)i;
	return VPMU_FRAME_NO_SYMBOLS;
}

static void read_row(struct json_object *item, struct vpmu_row *row, struct vcpu_text *vcpu)
{
	*row = (struct vpmu_row){
		.is_guest = streq(json_get_string(item, "half"), "guest"),
		.samples = (uint64_t)json_get_int(item, "samples", 0),
		.weight = json_get_big(item, "weight"),
		.self_samples = (uint64_t)json_get_int(item, "self_samples", 0),
		.self_weight = json_get_big(item, "self_weight"),
		.percent = json_get_double(item, "percent", 0),
		.self_percent = json_get_double(item, "self_percent", 0),
		.status = status_of(json_get_string(item, "status")),
	};
	for (int key = 0; key < VPMU_KEY_COUNT; key++)
		row->keys[key] = json_get_string_or_null(item, vpmu_key_name((enum vpmu_key)key));
	if (json_has(item, "vcpu")) {
		snprintf(vcpu->text, sizeof(vcpu->text), "%lld", (long long)json_get_int(item, "vcpu", 0));
		row->keys[VPMU_KEY_VCPU] = vcpu->text;
	}
}

/* Of the finer sides a reply has only the sums. */
static void read_coverage(struct json_object *item, struct vpmu_coverage *c)
{
	*c = (struct vpmu_coverage){
		.samples = (uint64_t)json_get_int(item, "samples", 0),
		.resolved = (uint64_t)json_get_int(item, "resolved", 0),
		.opaque = (uint64_t)json_get_int(item, "opaque", 0),
		.lost = (uint64_t)json_get_int(item, "lost", 0),
		.throttled = (uint64_t)json_get_int(item, "throttled", 0),
		.truncated_chains = (uint64_t)json_get_int(item, "truncated_chains", 0),
		.damaged_records = (uint64_t)json_get_int(item, "damaged_records", 0),
		.guest_processes = (uint64_t)json_get_int(item, "guest_processes", 0),
		.guests_not_linux = (uint64_t)json_get_int(item, "guests_not_linux", 0),
	};
	c->sides[VPMU_SIDE_GUEST_KERNEL] = (uint64_t)json_get_int(item, "guest", 0);
	c->sides[VPMU_SIDE_HOST_KERNEL] = (uint64_t)json_get_int(item, "host", 0);
	snprintf(c->source, sizeof(c->source), "%s", json_get_string(item, "source"));
}

static int read_view(struct remote *remote, struct json_object *reply)
{
	size_t n = json_length(reply, "rows");
	struct top_view *view = &remote->view;

	remote->rows.n = remote->vcpus.n = 0;
	if (!vec_reserve(&remote->rows, n) || !vec_reserve(&remote->vcpus, n))
		return error_oom(remote->reterr);
	for (size_t i = 0; i < n; i++)
		read_row(json_item(reply, "rows", i), &remote->rows.items[i], &remote->vcpus.items[i]);
	remote->rows.n = remote->vcpus.n = n;
	remote_reply_free(&remote->reply);
	remote->reply = json_object_get(reply);
	read_coverage(json_member(reply, "coverage"), &view->coverage);
	view->rows = remote->rows.items;
	view->n = n;
	view->samples[0] = vpmu_coverage_host(&view->coverage);
	view->samples[1] = vpmu_coverage_guest(&view->coverage);
	view->time_ms = period_now_ms();
	view->interval_ns = top_look(remote->top)->interval_ns; /* as vpmud measures it */
	return 0;
}

static int hear(struct json_object *reply, int fd, void *data)
{
	_close_ int unwanted = fd;
	struct remote *remote = data;
	int r;

	top_begin(remote->top);
	remote->over = top_tick(remote->top);
	if (remote->over || remote->version != top_look(remote->top)->version)
		return 1;
	if (!reply || top_look(remote->top)->paused)
		return 0;
	r = read_view(remote, reply);
	if (r < 0)
		return r;
	remote->over = top_show(remote->top, &remote->view, true);
	return remote->over;
}

static struct json_object *parameters_of(const struct top_request *request, const struct top_look *look)
{
	struct json_object *parameters = json_new_object();

	json_put(parameters, "guests", remote_names(request->guests));
	if (request->events)
		json_put_string(parameters, "events", request->events);
	if (request->frequency_hz)
		json_put_int(parameters, "frequency_hz", (int64_t)request->frequency_hz);
	json_put_string(parameters, "side", remote_side(request->sides));
	json_put_string(parameters, "sort", look->sort);
	json_put_int(parameters, "limit", (int64_t)look->limit);
	json_put_int(parameters, "interval_ms", (int64_t)(look->interval_ns / 1000000));
	return parameters;
}

int top_remote(struct top *top, const struct top_request *request, struct vpmu_client **client,
	       const char *socket_path, struct vpmu_error *reterr)
{
	__attribute__((cleanup(remote_deinit))) struct remote remote = { .top = top, .reterr = reterr };
	const struct remote_args where = { .socket = socket_path };
	int r;

	for (;;) {
		remote.version = top_look(top)->version;
		r = remote_stream(*client, "Top", parameters_of(request, top_look(top)), hear, &remote, reterr);
		if (r < 0 || remote.over)
			return r;
		if (remote.version == top_look(top)->version) /* vpmud said that was the last one */
			return -ESRCH;
		/* Who stops listening has ended the connection. */
		*client = vpmu_client_free(*client);
		if (remote_open(&where, TOP_INTERVAL_MAX_NS / 1000000, client) != STATUS_DONE || !*client)
			return error_set(reterr, -ECONNRESET, "vpmud went away");
	}
}

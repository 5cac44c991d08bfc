/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmud tells intervals; the total is their sum. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_read.h"
#include "remote_watch.h"
#include "reply_texts.h"
#include "time_remote.h"
#include "util/macro.h"
#include "util/vec.h"

/* A vCPU with what is its own. */
struct vcpu {
	struct vpmu_clock_vcpu row;
	VEC(struct vpmu_clock_reason) reasons;
	VEC(struct vpmu_clock_competitor) competitors;
};

struct rows {
	VEC(struct vcpu) vcpus;
	VEC(struct vpmu_clock_vcpu) items; /* as they are printed */
	uint64_t start_ns, end_ns;
};

struct process {
	pid_t pid;
	const char *guest;
};

struct stream {
	struct time_output *output;
	struct reply_texts texts;
	VEC(struct process) processes;
	struct rows interval, total;
	bool begun;
};

static void clear(struct rows *rows)
{
	vec_for_each (vcpu, &rows->vcpus) {
		vec_free(&vcpu->reasons);
		vec_free(&vcpu->competitors);
	}
	rows->vcpus.n = 0;
}

static void stream_deinit(struct stream *stream)
{
	struct rows *both[] = { &stream->interval, &stream->total };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		clear(both[i]);
		vec_free(&both[i]->vcpus);
		vec_free(&both[i]->items);
	}
	vec_free(&stream->processes);
	reply_texts_deinit(&stream->texts);
}

static const char *guest_of(pid_t pid, const void *data)
{
	const struct stream *stream = data;

	vec_for_each (process, &stream->processes)
		if (process->pid == pid)
			return process->guest;
	return NULL;
}

/* Errors: -ENOMEM. */
static int reading_of(struct stream *stream, struct rows *rows, struct time_reading *ret_reading)
{
	rows->items.n = 0;
	vec_for_each (vcpu, &rows->vcpus) {
		vcpu->row.n_reasons = vcpu->reasons.n;
		vcpu->row.reasons = vcpu->reasons.items;
		vcpu->row.n_competitors = vcpu->competitors.n;
		vcpu->row.competitors = vcpu->competitors.items;
		if (!vec_push(&rows->items, vcpu->row))
			return -ENOMEM;
	}
	*ret_reading = (struct time_reading){ .times = { rows->start_ns, rows->end_ns, rows->items.n, rows->items.items },
					      .guests = stream->texts.guests.items, .guest_of = guest_of, .data = stream };
	return 0;
}

/* ---- a row of a reply ---- */

static int read_reasons(struct stream *stream, struct json_object *object, struct vcpu *vcpu)
{
	for (size_t i = 0; i < json_length(object, "reasons"); i++) {
		struct json_object *item = json_item(object, "reasons", i);
		struct vpmu_clock_reason reason = {
			.name = reply_text(&stream->texts, json_get_string(item, "reason")),
			.code = (uint32_t)json_get_int(item, "code", 0),
			.count = json_get_big(item, "count"),
			.exit_ns = json_get_big(item, "exit_ns"),
			.qemu_ns = json_get_big(item, "qemu_ns"),
		};

		if (!reason.name || !vec_push(&vcpu->reasons, reason))
			return -ENOMEM;
	}
	return 0;
}

static int read_competitors(struct stream *stream, struct json_object *object, struct vcpu *vcpu)
{
	for (size_t i = 0; i < json_length(object, "competitors"); i++) {
		struct json_object *item = json_item(object, "competitors", i);
		struct vpmu_clock_competitor competitor = {
			.tid = (pid_t)json_get_int(item, "tid", 0),
			.pid = (pid_t)json_get_int(item, "pid", 0),
			.comm = reply_text(&stream->texts, json_get_string(item, "comm")),
			.ns = json_get_big(item, "ns"),
		};
		struct process process = { competitor.pid, NULL };

		if (!competitor.comm || !vec_push(&vcpu->competitors, competitor))
			return -ENOMEM;
		if (!json_has(item, "guest") || guest_of(process.pid, stream))
			continue;
		process.guest = reply_text(&stream->texts, json_get_string(item, "guest"));
		if (!process.guest || !vec_push(&stream->processes, process))
			return -ENOMEM;
	}
	return 0;
}

static void read_parts(struct json_object *object, struct vpmu_clock_vcpu *row)
{
	for (unsigned int part = 0; part < VPMU_CLOCK_PART_COUNT; part++) {
		char key[32];

		snprintf(key, sizeof(key), "%s_ns", vpmu_clock_part_name((enum vpmu_clock_part)part));
		row->parts[part] = (struct vpmu_clock_time){ .known = json_has(object, key), .ns = json_get_big(object, key),
							     .step_ns = json_get_big(object, "step_ns") };
	}
}

static int read_vcpu(struct stream *stream, struct json_object *object)
{
	struct vcpu *vcpu;

	if (!vec_push(&stream->interval.vcpus, (struct vcpu){}))
		return -ENOMEM;
	vcpu = &stream->interval.vcpus.items[stream->interval.vcpus.n - 1];
	vcpu->row = (struct vpmu_clock_vcpu){
		.vcpu = (uint32_t)json_get_int(object, "vcpu", 0),
		.tid = (pid_t)json_get_int(object, "tid", 0),
		.ended = json_get_bool(object, "ended"),
		.start_ns = json_get_big(object, "start_ns"),
		.wall_ns = json_get_big(object, "wall_ns"),
		.unpaired = json_get_big(object, "unpaired"),
		.why = json_has(object, "why") ? reply_text(&stream->texts, json_get_string(object, "why")) : NULL,
	};
	read_parts(object, &vcpu->row);
	if (!reply_guest(&stream->texts, json_get_string(object, "guest"), &vcpu->row.guest) ||
	    read_reasons(stream, object, vcpu) < 0)
		return -ENOMEM;
	return read_competitors(stream, object, vcpu);
}

/* ---- the sum ---- */

static int by_time(const void *a, const void *b)
{
	const struct vpmu_clock_reason *x = a, *y = b;
	uint64_t x_ns = x->exit_ns + x->qemu_ns, y_ns = y->exit_ns + y->qemu_ns;

	return (x_ns < y_ns) - (x_ns > y_ns);
}

static int by_ns(const void *a, const void *b)
{
	const struct vpmu_clock_competitor *x = a, *y = b;

	return (x->ns < y->ns) - (x->ns > y->ns);
}

static int add_lists(struct vcpu *sum, const struct vcpu *vcpu)
{
	vec_for_each (from, &vcpu->reasons) {
		struct vpmu_clock_reason *to = NULL;

		vec_for_each (reason, &sum->reasons)
			if (reason->name == from->name && reason->code == from->code)
				to = reason;
		if (to) {
			to->count += from->count;
			to->exit_ns += from->exit_ns;
			to->qemu_ns += from->qemu_ns;
		} else if (!vec_push(&sum->reasons, *from)) {
			return -ENOMEM;
		}
	}
	vec_for_each (from, &vcpu->competitors) {
		struct vpmu_clock_competitor *to = NULL;

		vec_for_each (competitor, &sum->competitors)
			if (competitor->tid == from->tid && competitor->comm == from->comm)
				to = competitor;
		if (to)
			to->ns += from->ns;
		else if (!vec_push(&sum->competitors, *from))
			return -ENOMEM;
	}
	if (sum->reasons.n)
		qsort(sum->reasons.items, sum->reasons.n, sizeof(*sum->reasons.items), by_time);
	if (sum->competitors.n)
		qsort(sum->competitors.items, sum->competitors.n, sizeof(*sum->competitors.items), by_ns);
	return 0;
}

static void add_row(struct vpmu_clock_vcpu *sum, const struct vpmu_clock_vcpu *row)
{
	sum->ended = row->ended;
	sum->wall_ns += row->wall_ns;
	sum->unpaired += row->unpaired;
	sum->why = row->why ? row->why : sum->why;
	for (int part = 0; part < VPMU_CLOCK_PART_COUNT; part++) {
		sum->parts[part].known |= row->parts[part].known;
		sum->parts[part].ns += row->parts[part].ns;
		sum->parts[part].step_ns = MAX(sum->parts[part].step_ns, row->parts[part].step_ns);
	}
}

static int add_interval(struct stream *stream)
{
	struct rows *total = &stream->total;

	if (!stream->begun)
		total->start_ns = stream->interval.start_ns;
	total->end_ns = stream->interval.end_ns;
	vec_for_each (vcpu, &stream->interval.vcpus) {
		struct vcpu *sum = NULL;

		vec_for_each (other, &total->vcpus)
			if (other->row.guest == vcpu->row.guest && other->row.vcpu == vcpu->row.vcpu &&
			    other->row.tid == vcpu->row.tid)
				sum = other;
		if (sum)
			add_row(&sum->row, &vcpu->row);
		else if (!vec_push(&total->vcpus, (struct vcpu){ .row = vcpu->row }))
			return -ENOMEM;
		if (add_lists(sum ? sum : &total->vcpus.items[total->vcpus.n - 1], vcpu) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- the stream ---- */

static int hear(struct json_object *reply, void *data, struct vpmu_error *reterr)
{
	struct stream *stream = data;
	struct rows *interval = &stream->interval;
	struct time_reading reading;
	int r = 0;

	(void)reterr;
	clear(interval);
	interval->start_ns = json_get_big(reply, "start_ns");
	interval->end_ns = json_get_big(reply, "end_ns");
	for (size_t i = 0; r >= 0 && i < json_length(reply, "vcpus"); i++)
		r = read_vcpu(stream, json_item(reply, "vcpus", i));
	if (r >= 0)
		r = add_interval(stream);
	if (r >= 0)
		r = reading_of(stream, interval, &reading);
	if (r < 0)
		return r;
	if (!stream->begun)
		time_output_begin(stream->output, interval->start_ns);
	stream->begun = true;
	if (stream->output->intervals)
		time_output_interval(stream->output, &reading);
	return 0;
}

enum status time_remote(struct vpmu_client *client, const struct name_list *guests, uint64_t interval_ms,
			uint64_t duration_ns, struct time_output *output)
{
	__attribute__((cleanup(stream_deinit))) struct stream stream = { .output = output, .texts.strings = intern_new() };
	struct remote_watch watch = { .method = "Time", .doing = "watching", .interval_ms = interval_ms,
				      .duration_ns = duration_ns, .hear = hear, .data = &stream };
	struct json_object *parameters = json_new_object();
	struct vpmu_error error = {};
	struct time_reading total;
	int r;

	json_put(parameters, "guests", remote_names(guests));
	if (!stream.texts.strings)
		return say_oom();
	remote_watch_plan(&watch);
	output->intervals = watch.intervals;
	r = remote_watch_run(&watch, client, parameters, &error);
	if (r == -ENOMEM || (stream.begun && reading_of(&stream, &stream.total, &total) < 0))
		return say_oom();
	if (stream.begun)
		time_output_total(output, &total);
	else if (r >= 0)
		say("nothing was watched");
	return r < 0 ? say_error(&error) : STATUS_DONE;
}

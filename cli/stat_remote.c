/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmud tells intervals; the total is their sum. Of a scaled count that is the sum of what it would have been in each
 * interval, which is as good a guess as one for the whole time.
 */
#include <errno.h>
#include <vpmu/vpmu.h>

#include "util/intern.h"
#include "util/macro.h"
#include "util/vec.h"
#include "json_read.h"
#include "remote_watch.h"
#include "stat_remote.h"

struct rows {
	VEC(struct vpmu_count) counts;
	uint64_t start_ns, end_ns;
};

struct stream {
	const struct stat_remote_args *args;
	struct stat_output *output;
	struct intern *strings;
	VEC(const char *) guests; /* names, of the pool */
	struct rows interval, total;
};

static void stream_deinit(struct stream *stream)
{
	vec_free(&stream->guests);
	vec_free(&stream->interval.counts);
	vec_free(&stream->total.counts);
	intern_free(stream->strings);
}

static struct stat_reading reading_of(const struct stream *stream, const struct rows *rows)
{
	return (struct stat_reading){ .counts = { rows->start_ns, rows->end_ns, rows->counts.n, rows->counts.items },
				      .guests = stream->guests.items };
}

/* ---- a row of a reply ---- */

/* The pool's copy of a member; NULL if it is not there. */
static const char *pooled(struct stream *stream, struct json_object *row, const char *key)
{
	const char *text = json_get_string_or_null(row, key);
	uint32_t id = text ? intern_add(stream->strings, text) : INTERN_FAILED;

	return id == INTERN_FAILED ? NULL : intern_string(stream->strings, id);
}

static unsigned int sides_of(const char *name)
{
	if (streq(name, "guest"))
		return VPMU_SIDES_GUEST;
	if (streq(name, "host"))
		return VPMU_SIDES_HOST;
	if (streq(name, "both"))
		return VPMU_SIDES_GUEST | VPMU_SIDES_HOST;
	for (int side = 1; side < VPMU_SIDE_COUNT; side++)
		if (streq(name, vpmu_side_name(side)))
			return 1u << side;
	return 0;
}

static enum vpmu_count_status status_of(const char *name)
{
	for (int i = VPMU_COUNT_OK; i <= VPMU_COUNT_UNAVAILABLE; i++)
		if (streq(name, vpmu_count_status_name(i)))
			return i;
	return VPMU_COUNT_UNAVAILABLE;
}

static bool guest_of(struct stream *stream, struct json_object *row, uint32_t *ret_guest)
{
	const char *name = pooled(stream, row, "guest");

	if (!name)
		name = "";
	for (size_t i = 0; i < stream->guests.n; i++)
		if (streq(stream->guests.items[i], name)) {
			*ret_guest = (uint32_t)i;
			return true;
		}
	*ret_guest = (uint32_t)stream->guests.n;
	return vec_push(&stream->guests, name);
}

static int read_row(struct stream *stream, struct json_object *row, uint64_t interval_ns)
{
	struct vpmu_count count = {
		.vcpu = (uint32_t)json_get_int(row, "vcpu", 0),
		.tid = (pid_t)json_get_int(row, "tid", 0),
		.ended = json_get_bool(row, "ended"),
		.sides = sides_of(json_get_string(row, "side")),
		.event = pooled(stream, row, "event"),
		.is_account = json_get_bool(row, "is_account"),
		.is_time = json_get_bool(row, "is_time"),
		.scaled = json_get_bool(row, "scaled"),
		.value = json_get_big(row, "value"),
		.step_ns = json_get_big(row, "step_ns"),
		.base = pooled(stream, row, "base"),
		.ratio = json_get_double(row, "ratio", 0),
		.status = status_of(json_get_string(row, "status")),
		.why = pooled(stream, row, "why"),
		.enabled_ns = json_has(row, "running_percent") ? interval_ns : 0,
	};

	count.running_ns = (uint64_t)((double)count.enabled_ns * json_get_double(row, "running_percent", 0) / 100);
	if (!count.event || !guest_of(stream, row, &count.guest) || !vec_push(&stream->interval.counts, count))
		return -ENOMEM;
	return 0;
}

static int read_reply(struct stream *stream, struct json_object *reply)
{
	struct rows *interval = &stream->interval;
	int r = 0;

	interval->counts.n = 0;
	interval->start_ns = json_get_big(reply, "start_ns");
	interval->end_ns = json_get_big(reply, "end_ns");
	for (size_t i = 0; r >= 0 && i < json_length(reply, "rows"); i++)
		r = read_row(stream, json_item(reply, "rows", i), interval->end_ns - interval->start_ns);
	return r;
}

/* ---- the sum ---- */

static bool same_thread(const struct vpmu_count *a, const struct vpmu_count *b)
{
	return a->guest == b->guest && a->vcpu == b->vcpu && a->tid == b->tid;
}

static struct vpmu_count *find(struct rows *rows, const struct vpmu_count *like)
{
	vec_for_each(count, &rows->counts)
		if (same_thread(count, like) && count->sides == like->sides && streq(count->event, like->event))
			return count;
	return NULL;
}

static bool has_value(const struct vpmu_count *count)
{
	return count->status == VPMU_COUNT_OK || count->status == VPMU_COUNT_PARTIAL;
}

static void add_count(struct vpmu_count *sum, const struct vpmu_count *count)
{
	bool had = has_value(sum);

	sum->value += count->value;
	sum->enabled_ns += count->enabled_ns;
	sum->running_ns += count->running_ns;
	sum->scaled |= count->scaled;
	sum->ended = count->ended;
	sum->base = count->base ? count->base : sum->base;
	if (!had || has_value(count)) {
		sum->status = count->status;
		sum->why = count->why;
	} else {
		sum->status = VPMU_COUNT_PARTIAL;
		sum->why = count->why ? count->why : sum->why;
	}
}

/* What it is in proportion to: of the same thread, and of the same side if that has several. */
static const struct vpmu_count *base_of(const struct rows *rows, const struct vpmu_count *count)
{
	const struct vpmu_count *base = NULL;

	for (size_t i = 0; count->base && i < rows->counts.n; i++) {
		const struct vpmu_count *candidate = &rows->counts.items[i];

		if (same_thread(candidate, count) && streq(candidate->event, count->base) &&
		    (!base || candidate->sides == count->sides))
			base = candidate;
	}
	return base;
}

static int add_interval(struct stream *stream)
{
	struct rows *total = &stream->total;

	if (!total->counts.n)
		total->start_ns = stream->interval.start_ns;
	total->end_ns = stream->interval.end_ns;
	vec_for_each(count, &stream->interval.counts) {
		struct vpmu_count *sum = find(total, count);

		if (sum)
			add_count(sum, count);
		else if (!vec_push(&total->counts, *count))
			return -ENOMEM;
	}
	vec_for_each(count, &total->counts) {
		const struct vpmu_count *base = base_of(total, count);

		if (base && base->value)
			count->ratio = (double)count->value / (double)base->value;
	}
	return 0;
}

/* ---- the stream ---- */

static int hear(struct json_object *reply, void *data, struct vpmu_error *reterr)
{
	struct stream *stream = data;
	bool first = !stream->total.counts.n;
	struct stat_reading reading;
	int r;

	r = read_reply(stream, reply);
	if (r >= 0)
		r = add_interval(stream);
	if (r < 0)
		return r;
	reading = reading_of(stream, &stream->interval);
	if (first && stream->args->events) {
		r = stat_check_events(&reading, reterr);
		if (r < 0)
			return r;
	}
	if (first) {
		stream->output->begin_ns = stream->interval.start_ns;
		stat_output_begin(stream->output);
	}
	if (stream->output->intervals)
		stat_output_interval(stream->output, &reading);
	return 0;
}

enum status stat_remote(struct vpmu_client *client, const struct name_list *guests,
			const struct stat_remote_args *args, struct stat_output *output)
{
	__attribute__((cleanup(stream_deinit))) struct stream stream = { .args = args, .output = output,
									  .strings = intern_new() };
	struct remote_watch watch = { .method = "Counters", .doing = "counting", .interval_ms = args->interval_ms,
				      .duration_ns = args->duration_ns, .hear = hear, .data = &stream };
	struct json_object *parameters;
	struct vpmu_error error = {};
	struct stat_reading total;
	int r;

	if (!stream.strings)
		return say_oom();
	remote_watch_plan(&watch);
	output->intervals = watch.intervals;
	parameters = json_new_object();
	json_put(parameters, "guests", remote_names(guests));
	if (args->events)
		json_put_string(parameters, "events", args->events);
	r = remote_watch_run(&watch, client, parameters, &error);
	if (r == -ENOMEM)
		return say_oom();
	if (!stream.total.counts.n && r >= 0) {
		say("nothing was counted");
		return STATUS_DONE;
	}
	if (r < 0 && !stream.total.counts.n)
		return say_error(&error);
	total = reading_of(&stream, &stream.total);
	if (r != -EOPNOTSUPP)
		stat_output_total(output, &total);
	return r < 0 ? say_error(&error) : STATUS_DONE;
}

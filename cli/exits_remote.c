/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmud tells intervals; the total is their sum, with the shortest and longest of all. */
#include <errno.h>
#include <stdlib.h>
#include <vpmu/vpmu.h>

#include "client/meter_shapes.h"
#include "exits_remote.h"
#include "json_read.h"
#include "remote_watch.h"
#include "reply_texts.h"
#include "util/cleanup.h"
#include "util/macro.h"
#include "util/vec.h"

struct rows {
	VEC(struct vpmu_exit) exits;
	VEC(struct vpmu_frame) frames; /* by row */
	struct vpmu_exit_rows about;   /* times and losses */
};

struct stream {
	struct exits_output *output;
	struct reply_texts texts;
	const char *silent;
	struct rows interval, total;
	bool begun;
};

static void rows_deinit(struct rows *rows)
{
	vec_free(&rows->exits);
	vec_free(&rows->frames);
}

static void stream_deinit(struct stream *stream)
{
	rows_deinit(&stream->interval);
	rows_deinit(&stream->total);
	reply_texts_deinit(&stream->texts);
}

static struct exits_reading reading_of(const struct stream *stream, const struct rows *rows)
{
	struct exits_reading reading = { .rows = rows->about, .silent = stream->silent, .guests = stream->texts.guests.items,
					 .frames = rows->frames.items };

	reading.rows.n = rows->exits.n;
	reading.rows.items = rows->exits.items;
	return reading;
}

/* ---- a row of a reply ---- */

static enum vpmu_exit_key key_of(const char *name)
{
	for (unsigned int key = 0; key < VPMU_EXIT_KEY_COUNT; key++)
		if (streq(name, vpmu_exit_key_name((enum vpmu_exit_key)key)))
			return (enum vpmu_exit_key)key;
	return VPMU_EXIT_REASON;
}

/* Numbers where the key's values are addresses or the like; of others the name tells all there is. */
static void read_value(struct json_object *row, struct vpmu_exit *exit, const char **ret_name)
{
	const char *value = json_get_string(row, vpmu_exit_key_name(exit->key));

	*ret_name = value;
	switch (exit->key) {
	case VPMU_EXIT_REASON:
		*ret_name = exit->reason;
		break;
	case VPMU_EXIT_MSR:
		*ret_name = json_get_string(row, "name");
		/* fall through */
	case VPMU_EXIT_PORT:
	case VPMU_EXIT_MMIO:
	case VPMU_EXIT_ADDRESS:
		exit->value = strtoull(value, NULL, 16);
		exit->write = json_get_bool(row, "write");
		exit->zero = json_get_bool(row, "zero");
		break;
	case VPMU_EXIT_ANCILLARY:
		*ret_name = json_get_string(row, "trip");
		exit->value = (uint64_t)json_get_int(row, "trip_code", 0) << 32 | exit->code;
		break;
	default:
		exit->nmi = streq(value, "NMI");
	}
}

static void read_histogram(struct json_object *row, struct vpmu_exit *exit)
{
	for (size_t i = 0; i < json_length(row, "histogram"); i++) {
		struct json_object *step = json_item(row, "histogram", i);
		uint64_t below_ns = json_has(step, "below_ns") ? json_get_big(step, "below_ns") : UINT64_MAX;

		for (unsigned int bucket = 0; bucket < VPMU_EXIT_BUCKETS; bucket++)
			if (vpmu_exit_bucket_ns(bucket) == below_ns)
				exit->buckets[bucket] = json_get_big(step, "count");
	}
}

static enum vpmu_frame_status status_of(const char *name)
{
	return streq(name, vpmu_frame_status_name(VPMU_FRAME_OK)) ? VPMU_FRAME_OK : VPMU_FRAME_NO_SYMBOLS;
}

static int read_row(struct stream *stream, struct json_object *row)
{
	struct vpmu_exit exit = {
		.vcpu = (uint32_t)json_get_int(row, "vcpu", 0),
		.tid = (pid_t)json_get_int(row, "tid", 0),
		.ended = json_get_bool(row, "ended"),
		.key = key_of(json_get_string(row, "key")),
		.nested = json_get_bool(row, "nested"),
		.code = (uint32_t)json_get_int(row, "code", 0),
		.reason = reply_text(&stream->texts, json_get_string(row, "reason")),
		.pmu = reply_text(&stream->texts, json_get_string(row, "pmu")),
		.count = json_get_big(row, "count"),
		.untimed = json_get_big(row, "untimed"),
		.total_ns = json_get_big(row, "total_ns"),
		.min_ns = json_get_big(row, "min_ns"),
		.max_ns = json_get_big(row, "max_ns"),
		.user_ns = json_get_big(row, "qemu_ns"),
		.blocked_ns = json_get_big(row, "blocked_ns"),
		.preempted_ns = json_get_big(row, "preempted_ns"),
		.polled_ns = json_get_big(row, "poll_ns"),
	};
	struct vpmu_frame frame = {
		.symbol = reply_text(&stream->texts, json_get_string(row, "symbol")),
		.dso = reply_text(&stream->texts, json_get_string(row, "dso")),
		.symbol_offset = (uint64_t)json_get_int(row, "symbol_offset", 0),
		.status = status_of(json_get_string(row, "status")),
	};
	const char *name;

	if (!exit.reason || !exit.pmu || !frame.symbol || !frame.dso)
		return -ENOMEM;
	read_value(row, &exit, &name);
	exit.name = reply_text(&stream->texts, name);
	read_histogram(row, &exit);
	if (!exit.name || !reply_guest(&stream->texts, json_get_string(row, "guest"), &exit.guest) ||
	    !vec_push(&stream->interval.exits, exit) || !vec_push(&stream->interval.frames, frame))
		return -ENOMEM;
	return 0;
}

static int read_reply(struct stream *stream, struct json_object *reply)
{
	struct rows *interval = &stream->interval;
	int r = 0;

	interval->exits.n = interval->frames.n = 0;
	interval->about = (struct vpmu_exit_rows){
		.start_ns = json_get_big(reply, "start_ns"),
		.end_ns = json_get_big(reply, "end_ns"),
		.missed = json_get_big(reply, "missed"),
		.unfit = json_get_big(reply, "unfit"),
		.lost_entries = json_get_big(reply, "lost_entries"),
		.lost_exits = json_get_big(reply, "lost_exits"),
	};
	stream->silent = reply_text(&stream->texts, json_get_string(reply, "silent"));
	if (!stream->silent)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < json_length(reply, "rows"); i++)
		r = read_row(stream, json_item(reply, "rows", i));
	return r;
}

/* ---- the sum ---- */

static bool same_row(const struct vpmu_exit *a, const struct vpmu_exit *b)
{
	/* Names are the pool's: equal ones are one. */
	return a->guest == b->guest && a->vcpu == b->vcpu && a->tid == b->tid && a->key == b->key && a->code == b->code &&
	       a->nested == b->nested && a->value == b->value && a->name == b->name && a->write == b->write &&
	       a->zero == b->zero;
}

static void add_exit(struct vpmu_exit *sum, const struct vpmu_exit *exit)
{
	bool had_times = sum->count > sum->untimed, has_times = exit->count > exit->untimed;

	if (has_times) {
		sum->min_ns = had_times ? MIN(sum->min_ns, exit->min_ns) : exit->min_ns;
		sum->max_ns = MAX(sum->max_ns, exit->max_ns);
	}
	sum->ended = exit->ended;
	sum->count += exit->count;
	sum->untimed += exit->untimed;
	sum->total_ns += exit->total_ns;
	sum->user_ns += exit->user_ns;
	sum->blocked_ns += exit->blocked_ns;
	sum->preempted_ns += exit->preempted_ns;
	sum->polled_ns += exit->polled_ns;
	for (int i = 0; i < VPMU_EXIT_BUCKETS; i++)
		sum->buckets[i] += exit->buckets[i];
}

static int add_interval(struct stream *stream)
{
	struct rows *total = &stream->total, *interval = &stream->interval;
	uint64_t start_ns = stream->begun ? total->about.start_ns : interval->about.start_ns;

	total->about = interval->about; /* losses are since the beginning */
	total->about.start_ns = start_ns;
	for (size_t i = 0; i < interval->exits.n; i++) {
		struct vpmu_exit *sum = NULL;

		vec_for_each (exit, &total->exits)
			if (same_row(exit, &interval->exits.items[i]))
				sum = exit;
		if (sum)
			add_exit(sum, &interval->exits.items[i]);
		else if (!vec_push(&total->exits, interval->exits.items[i]) ||
			 !vec_push(&total->frames, interval->frames.items[i]))
			return -ENOMEM;
	}
	return 0;
}

/* As vpmud has them: by guest, vCPU, thread, key; then the longest total first, then the highest count. */
static bool is_before(const struct vpmu_exit *a, const struct vpmu_exit *b)
{
	if (a->guest != b->guest)
		return a->guest < b->guest;
	if (a->vcpu != b->vcpu)
		return a->vcpu < b->vcpu;
	if (a->tid != b->tid)
		return a->tid < b->tid;
	if (a->key != b->key)
		return a->key < b->key;
	return a->total_ns != b->total_ns ? a->total_ns > b->total_ns : a->count > b->count;
}

/* Nearly sorted already: intervals look alike. */
static void sort(struct rows *rows)
{
	for (size_t i = 1; i < rows->exits.n; i++) {
		struct vpmu_exit exit = rows->exits.items[i];
		struct vpmu_frame frame = rows->frames.items[i];
		size_t at = i;

		for (; at > 0 && is_before(&exit, &rows->exits.items[at - 1]); at--) {
			rows->exits.items[at] = rows->exits.items[at - 1];
			rows->frames.items[at] = rows->frames.items[at - 1];
		}
		rows->exits.items[at] = exit;
		rows->frames.items[at] = frame;
	}
}

/* ---- the stream ---- */

static int hear(struct json_object *reply, void *data, struct vpmu_error *reterr)
{
	struct stream *stream = data;
	struct exits_reading reading;
	int r = read_reply(stream, reply);

	(void)reterr;
	if (r >= 0)
		r = add_interval(stream);
	if (r < 0)
		return r;
	if (!stream->begun)
		exits_output_begin(stream->output, stream->interval.about.start_ns);
	stream->begun = true;
	reading = reading_of(stream, &stream->interval);
	if (stream->output->intervals)
		exits_output_interval(stream->output, &reading);
	return 0;
}

static struct json_object *parameters_of(const struct name_list *guests, unsigned int keys)
{
	struct json_object *parameters = json_new_object(), *by = json_new_array();

	for (unsigned int key = 0; key < VPMU_EXIT_KEY_COUNT; key++) {
		const char *name = key == VPMU_EXIT_ADDRESS ? "symbol" : vpmu_exit_key_name((enum vpmu_exit_key)key);

		if (keys >> key & 1 && shape_keys(name))
			json_append_string(by, name);
	}
	if (keys & SHAPE_NESTED_KEYS)
		json_append_string(by, "nested");
	json_put(parameters, "guests", remote_names(guests));
	json_put(parameters, "by", by);
	return parameters;
}

enum status exits_remote(struct vpmu_client *client, const struct name_list *guests, unsigned int keys,
			 uint64_t interval_ms, uint64_t duration_ns, struct exits_output *output)
{
	__attribute__((cleanup(stream_deinit))) struct stream stream = { .output = output, .texts.strings = intern_new() };
	struct remote_watch watch = { .method = "Exits", .doing = "accounting", .interval_ms = interval_ms,
				      .duration_ns = duration_ns, .hear = hear, .data = &stream };
	struct vpmu_error error = {};
	struct exits_reading total;
	int r;

	if (!stream.texts.strings)
		return say_oom();
	remote_watch_plan(&watch);
	output->intervals = watch.intervals;
	r = remote_watch_run(&watch, client, parameters_of(guests, keys), &error);
	if (r == -ENOMEM)
		return say_oom();
	if (!stream.begun && r >= 0) {
		say("nothing was accounted");
		return STATUS_DONE;
	}
	if (!stream.begun)
		return say_error(&error);
	sort(&stream.total);
	total = reading_of(&stream, &stream.total);
	if (exits_output_total(output, &total) < 0)
		return say_oom();
	return r < 0 ? say_error(&error) : STATUS_DONE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmu script: one sample a block, in the order of the file, for people with grep and for the
 * programs that read what `perf script` prints.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "command.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "sides.h"
#include "stack_text.h"
#include "text.h"

struct script_args {
	struct common_args common;
	struct input_args input;
	struct guest_file_args files;
	struct side_args side;
	uint64_t limit;
	bool lines;
};

#define FIELD(name) offsetof(struct script_args, name)

static const struct option_spec script_options[] = {
	{ .letter = 'n', .name = "limit", .arg = "N", .set = option_u64, .max = UINT32_MAX,
	  .offset = FIELD(limit), .help = "print N samples at most (default 0: all)" },
	{ .name = "lines", .set = option_flag, .max = 1, .offset = FIELD(lines),
	  .help = "look source lines up too" },
	{},
};

struct script {
	const struct script_args *args;
	const struct vpmu_recording *recording;
	unsigned int sides;
	bool *guests; /* which to print, by index; NULL = all */
	size_t n_guests;
	uint64_t n_printed;
	struct strbuf out;
	/* The last name, cleaned: names come in runs. */
	uint32_t comm_id;
	struct strbuf comm;
	struct stack_text stack;
};

static char *put_digits(char *p, uint64_t value, unsigned int columns, char pad)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + value % 10);
	while (value /= 10);
	for (size_t n = sizeof(digits) - i; n < columns; n++)
		*p++ = pad;
	memcpy(p, digits + i, sizeof(digits) - i);
	return p + sizeof(digits) - i;
}

/* "COMM PID/TID [CPU] SECONDS.MICROSECONDS: PERIOD EVENT:", of a guest's process "COMM guest:PID/TID …" */
static void add_head(struct script *s, const struct vpmu_sample *sample)
{
	const struct vpmu_event_info *event = vpmu_recording_event(s->recording, sample->event);
	char head[160], *p = head;

	if (!s->comm.text || s->comm_id != sample->comm_id) {
		strbuf_clear(&s->comm);
		text_add_clean(&s->comm, sample->comm[0] ? sample->comm : ":-1");
		s->comm_id = sample->comm_id;
	}
	strbuf_add(&s->out, s->comm.text ? s->comm.text : "", s->comm.n);
	*p++ = ' ';
	if (sample->guest_pid >= 0)
		p = mempcpy(p, "guest:", 6);
	p = put_digits(p, (uint32_t)(sample->guest_pid >= 0 ? sample->guest_pid : sample->pid), 0, ' ');
	*p++ = '/';
	p = put_digits(p, (uint32_t)(sample->guest_pid >= 0 ? sample->guest_tid : sample->tid), 0, ' ');
	if (sample->cpu != UINT32_MAX) {
		*p++ = ' ';
		*p++ = '[';
		p = put_digits(p, sample->cpu, 3, '0');
		*p++ = ']';
	}
	*p++ = ' ';
	p = put_digits(p, sample->time_ns / 1000000000, 5, ' ');
	*p++ = '.';
	p = put_digits(p, sample->time_ns % 1000000000 / 1000, 6, '0');
	*p++ = ':';
	*p++ = ' ';
	p = put_digits(p, sample->weight, 10, ' ');
	*p++ = ' ';
	strbuf_add(&s->out, head, (size_t)(p - head));
	text_add_clean(&s->out, event ? event->name : "unknown");
	strbuf_add(&s->out, ":\n", 2);
}

static struct json_object *frame_to_json(const struct vpmu_frame *frame)
{
	struct json_object *object = json_new_object();

	json_put_address(object, "address", frame->address);
	json_put_string(object, "symbol", frame->symbol);
	if (frame->symbol)
		json_put_address(object, "offset", frame->symbol_offset);
	json_put_string(object, "dso", frame->dso);
	json_put_string(object, "side", vpmu_side_name(frame->side));
	json_put_string(object, "status", vpmu_frame_status_name(frame->status));
	if (frame->src_file) {
		json_put_string(object, "file", frame->src_file);
		json_put_int(object, "line", frame->src_line);
	}
	return object;
}

static void print_json(struct script *s, const struct vpmu_sample *sample)
{
	const struct vpmu_event_info *event = vpmu_recording_event(s->recording, sample->event);
	const struct vpmu_guest_info *guest = vpmu_recording_guest(s->recording, sample->guest);
	struct json_object *object = json_new_object(), *frames = json_new_array();
	size_t n = vpmu_symbolize(s->stack.symbolizer, sample, s->args->lines, s->stack.frames,
				  STACK_FRAMES_MAX);

	for (size_t i = 0; i < n; i++)
		json_append(frames, frame_to_json(&s->stack.frames[i]));
	json_put_int(object, "time_ns", (int64_t)sample->time_ns);
	json_put_string(object, "event", event ? event->name : NULL);
	json_put_big(object, "weight", sample->weight);
	json_put_string(object, "side", vpmu_side_name(sample->side));
	json_put_string(object, "guest", guest ? guest->name : NULL);
	if (sample->vcpu != VPMU_NO_VCPU)
		json_put_int(object, "vcpu", sample->vcpu);
	else
		json_put_null(object, "vcpu");
	json_put_string(object, "comm", sample->comm);
	json_put_int(object, "pid", sample->pid);
	json_put_int(object, "tid", sample->tid);
	if (sample->guest_pid >= 0) {
		json_put_int(object, "guest_pid", sample->guest_pid);
		json_put_int(object, "guest_tid", sample->guest_tid);
	}
	if (sample->cpu != UINT32_MAX)
		json_put_int(object, "cpu", sample->cpu);
	else
		json_put_null(object, "cpu");
	json_put(object, "frames", frames);
	json_print(object);
}

static void print_sample(const struct vpmu_sample *sample, void *data)
{
	struct script *s = data;

	if (s->args->limit && s->n_printed >= s->args->limit)
		return;
	if (s->sides && !(s->sides >> sample->side & 1))
		return;
	if (s->guests && (sample->guest >= s->n_guests || !s->guests[sample->guest]))
		return;
	s->n_printed++;
	if (s->args->common.json) {
		print_json(s, sample);
		return;
	}
	add_head(s, sample);
	stack_text_add(&s->stack, sample, &s->out);
	strbuf_addc(&s->out, '\n');
	if (s->out.n > 256 * 1024)
		output_write(&s->out);
}

static void script_free(struct script **s)
{
	if (!*s)
		return;
	strbuf_deinit(&(*s)->out);
	strbuf_deinit(&(*s)->comm);
	stack_text_deinit(&(*s)->stack);
	free((*s)->guests);
	free(*s);
}

static enum status run_script(const void *opaque, const struct name_list *operands)
{
	const struct script_args *args = opaque;
	__attribute__((cleanup(script_free))) struct script *s = calloc(1, sizeof(*s));
	_input_ struct input input = {};
	struct vpmu_error error = {};

	if (args->input.files.n > 1)
		return say_usage("reads one recording");
	if (!s) {
		say_warning("out of memory");
		return STATUS_FAILED;
	}
	if (input_open(&args->input, 0, &input, &error) < 0) {
		input_hint_at_files(&args->input, operands, &error);
		return say_error(&error);
	}
	if (input_know_guests(&input, &args->files, operands, &error) < 0 ||
	    input_name(&input, &args->files, &error) < 0 ||
	    input_select(&input, operands, &s->guests, &s->n_guests, &error) < 0)
		return say_error(&error);
	s->args = args;
	s->recording = input.recording;
	s->sides = args->side.sides;
	s->stack.symbolizer = vpmu_recording_symbolizer(input.recording);
	s->stack.lines = args->lines;
	if (input_read(&input, print_sample, s, &error) < 0)
		return say_error(&error);
	output_write(&s->out);
	return STATUS_DONE;
}

const struct command command_script = {
	.name = "script",
	.summary = "print every sample of a recording",
	.operands = "[GUEST...]",
	.groups = (const struct option_group[]){
		{ input_options, FIELD(input) },
		{ side_options, FIELD(side) },
		{ script_options, 0 },
		{ guest_file_options, FIELD(files) },
		{ common_options, 0 },
		{},
	},
	.args_bytes = sizeof(struct script_args),
	.run = run_script,
};

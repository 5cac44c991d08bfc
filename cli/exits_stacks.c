/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu exits --by stack, --fold: the guest code that led to exits. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "exits_show.h"
#include "json.h"
#include "output.h"
#include "text.h"

#define MAX_STACKS_SHOWN 30

static void symbol_of(struct vpmu_exits *exits, const struct vpmu_exit_stack *stack, size_t i,
		      struct vpmu_frame *ret_frame)
{
	/* A guest's guest has other symbols. */
	*ret_frame = (struct vpmu_frame){ .status = VPMU_FRAME_NO_SYMBOLS };
	if (!stack->nested)
		vpmu_exits_symbol(exits, stack->guest, stack->addresses[i], ret_frame);
}

static void add_name(struct strbuf *out, const struct vpmu_frame *frame, uint64_t address)
{
	if (frame->status == VPMU_FRAME_OK)
		text_add_clean(out, frame->symbol);
	else
		strbuf_addf(out, "0x%" PRIx64, address);
}

/* ---- for people ---- */

struct totals {
	uint64_t count, ns;
};

static int add_up(const struct vpmu_exit_stack *stack, void *data)
{
	struct totals *totals = data;

	totals->count += stack->count;
	totals->ns += stack->total_ns;
	return 0;
}

struct text_output {
	struct vpmu_exits *exits;
	struct totals totals;
	struct strbuf *out;
	size_t n;
};

static int add_stack(const struct vpmu_exit_stack *stack, void *data)
{
	struct text_output *text = data;
	const struct totals *totals = &text->totals;
	char time[16];

	if (text->n++ >= MAX_STACKS_SHOWN)
		return 0;
	strbuf_addf(text->out, "%s%6.2f%%", text->n > 1 ? "\n" : "", totals->ns ? 100 * (double)stack->total_ns / (double)totals->ns :
					    totals->count ? 100 * (double)stack->count / (double)totals->count :
							    0);
	if (totals->ns) {
		exits_time_text(stack->total_ns, time);
		strbuf_addf(text->out, "  %s", time);
	}
	strbuf_addf(text->out, "  %" PRIu64 "  %s%s  ", stack->count, stack->nested ? "L2 " : "", stack->reason);
	text_add_clean(text->out, vpmu_exits_guest(text->exits, stack->guest)->name);
	strbuf_addf(text->out, " vCPU %" PRIu32 "\n", stack->vcpu);
	for (size_t i = 0; i < stack->n_addresses; i++) {
		struct vpmu_frame frame;

		symbol_of(text->exits, stack, i, &frame);
		strbuf_adds(text->out, "         ");
		add_name(text->out, &frame, stack->addresses[i]);
		if (frame.status == VPMU_FRAME_OK)
			strbuf_addf(text->out, "+0x%" PRIx64, frame.symbol_offset);
		strbuf_addc(text->out, '\n');
	}
	if (!stack->n_addresses)
		strbuf_adds(text->out, "         (not known where)\n");
	return 0;
}

int exits_stacks_text(struct vpmu_exits *exits)
{
	_strbuf_ struct strbuf out = {};
	struct text_output text = { .exits = exits, .out = &out };
	int r = vpmu_exits_each_stack(exits, add_up, &text.totals);

	if (r == 0)
		r = vpmu_exits_each_stack(exits, add_stack, &text);
	if (r < 0)
		return r;
	if (!text.n)
		strbuf_adds(&out, "no exits were sampled\n");
	if (text.n > MAX_STACKS_SHOWN)
		strbuf_addf(&out, "\n%zu more stacks; --json and --fold have all\n", text.n - MAX_STACKS_SHOWN);
	output_write(&out);
	return 0;
}

/* ---- for programs ---- */

struct json_output {
	struct vpmu_exits *exits;
	struct json_object *list;
};

static int append_stack(const struct vpmu_exit_stack *stack, void *data)
{
	const struct json_output *output = data;
	struct json_object *object = json_new_object(), *frames = json_new_array();

	json_put_string(object, "guest", vpmu_exits_guest(output->exits, stack->guest)->name);
	json_put_int(object, "vcpu", stack->vcpu);
	json_put_string(object, "reason", stack->reason);
	json_put_int(object, "code", stack->code);
	json_put_bool(object, "nested", stack->nested);
	json_put_int(object, "samples", (int64_t)stack->samples);
	json_put_int(object, "count", (int64_t)stack->count);
	json_put_int(object, "total_ns", (int64_t)stack->total_ns);
	json_put_bool(object, "cut", stack->is_cut);
	for (size_t i = 0; i < stack->n_addresses; i++) {
		struct json_object *item = json_new_object();
		struct vpmu_frame frame;

		symbol_of(output->exits, stack, i, &frame);
		json_put_address(item, "address", stack->addresses[i]);
		json_put_string(item, "symbol", frame.symbol);
		json_put_string(item, "status", vpmu_frame_status_name(frame.status));
		json_append(frames, item);
	}
	json_put(object, "frames", frames);
	json_append(output->list, object);
	return 0;
}

struct json_object *exits_stacks_json(struct vpmu_exits *exits)
{
	struct json_output output = { .exits = exits, .list = json_new_array() };

	vpmu_exits_each_stack(exits, append_stack, &output);
	return output.list;
}

struct folded_output {
	struct vpmu_exits *exits;
	bool by_time;
	size_t n, lines;
};

/*
 * Outermost first. A ';' or a line's end in a name would be taken for the format's own; names of
 * guests may hold blanks.
 */
static void add_folded(struct strbuf *out, const char *name)
{
	size_t from = out->n;

	text_add_clean(out, name);
	for (size_t i = from; i < out->n; i++)
		if (out->text[i] == ';')
			out->text[i] = ':';
}

static int fold_stack(const struct vpmu_exit_stack *stack, void *data)
{
	struct folded_output *folded = data;
	_strbuf_ struct strbuf out = {}, name = {};
	uint64_t weight = folded->by_time ? stack->total_ns : stack->count;

	folded->n++;
	if (!weight)
		return 0;
	folded->lines++;
	add_folded(&out, vpmu_exits_guest(folded->exits, stack->guest)->name);
	strbuf_addf(&out, ";vCPU %" PRIu32, stack->vcpu);
	if (stack->is_cut && stack->n_addresses)
		strbuf_adds(&out, ";[...]");
	for (size_t i = stack->n_addresses; i--;) {
		struct vpmu_frame frame;

		symbol_of(folded->exits, stack, i, &frame);
		strbuf_clear(&name);
		add_name(&name, &frame, stack->addresses[i]);
		strbuf_addc(&out, ';');
		add_folded(&out, name.text ? name.text : "");
	}
	strbuf_addf(&out, ";[%s%s] %" PRIu64 "\n", stack->nested ? "L2 " : "", stack->reason, weight);
	if (out.failed)
		return -ENOMEM;
	output_write(&out);
	return 0;
}

int exits_stacks_folded(struct vpmu_exits *exits, bool by_time)
{
	struct folded_output folded = { .exits = exits, .by_time = by_time };
	int r = vpmu_exits_each_stack(exits, fold_stack, &folded);

	if (r == 0 && !folded.lines)
		say(folded.n ? "no time is known of any stack; --fold count tells how many exits they led to" :
			       "no exits were sampled");
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu top: what runs now, on a terminal as a picture that changes, elsewhere as a text for each interval. */
#include <errno.h>
#include <stdio.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/macro.h"
#include "command.h"
#include "guest_names.h"
#include "input.h"
#include "interrupt.h"
#include "json.h"
#include "output.h"
#include "remote.h"
#include "sides.h"
#include "terminal.h"
#include "top_draw.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)

struct top_args {
	struct common_args common;
	struct remote_args remote;
	struct side_args side;
	const char *events, *sort;
	uint64_t frequency_hz, interval_ns, iterations, limit;
	struct guest_file_args files;
};

#define FIELD(name) offsetof(struct top_args, name)

static const struct option_spec top_options[] = {
	{ .letter = 's', .name = "sort", .arg = "KEYS", .set = option_string, .offset = FIELD(sort),
	  .help = "what to group by, with commas between: guest, vcpu, side, process, dso, symbol "
		  "(default side,dso,symbol, of several guests guest,side,dso,symbol)" },
	{ .letter = 'e', .name = "event", .arg = "EVENT", .set = option_string, .offset = FIELD(events),
	  .help = "what to sample (default: the best source that 'vpmu doctor' finds)" },
	{ .letter = 'F', .name = "frequency", .arg = "HZ", .set = option_u64, .min = 1, .max = 1000000,
	  .offset = FIELD(frequency_hz), .help = "samples a second of each thread (default 999)" },
	{ .letter = 'd', .name = "delay", .arg = "TIME", .set = option_duration_ns, .offset = FIELD(interval_ns),
	  .help = "how long an interval is: 200ms to 60s (default 1s)" },
	{ .letter = 'n', .name = "iterations", .arg = "N", .set = option_u64, .min = 1, .max = UINT32_MAX,
	  .offset = FIELD(iterations), .help = "stop after N intervals (default: at q or ^C, or when the guests are gone)" },
	{ .name = "limit", .arg = "N", .set = option_u64, .max = UINT32_MAX, .offset = FIELD(limit),
	  .help = "rows of each half at most (default 0: as many as the terminal has room for, elsewhere 20)" },
	{},
};

/* What the key s goes through; what the user asked for comes first. */
static const char *const sorts[] = {
	"side,dso,symbol", "guest,side,dso,symbol", "vcpu,side,symbol", "side,process", "dso", "symbol",
};

struct top {
	const struct top_args *args;
	struct top_look look;
	const char *own_sort, *title;
	size_t sort; /* of sorts[]; ARRAY_SIZE() = own_sort */
	bool on_screen;
	unsigned int rows, columns; /* of the terminal, when it was drawn */
	const struct top_view *view; /* the last one shown; NULL = none yet */
	uint64_t shown;
};

const struct top_look *top_look(const struct top *top)
{
	return &top->look;
}

/* ---- output ---- */

static void draw(struct top *top)
{
	_strbuf_ struct strbuf frame = {};

	terminal_size(&top->rows, &top->columns);
	output_set_width(top->columns);
	top_draw_screen(top->view, &top->look, top->title, top->rows, top->columns, &frame);
	terminal_show(&frame);
}

/* Room for more rows is room for more to ask for. */
static size_t limit_of(const struct top *top)
{
	unsigned int rows, columns;

	if (top->args->limit)
		return top->args->limit;
	if (!top->on_screen)
		return 20;
	terminal_size(&rows, &columns);
	return top_rows_of(rows);
}

bool top_show(struct top *top, const struct top_view *view, bool is_new)
{
	_strbuf_ struct strbuf text = {};

	top->view = view;
	if (top->on_screen) {
		draw(top);
	} else if (top->args->common.json) {
		json_print(top_json(view, &top->look));
	} else {
		top_draw_text(view, &top->look, &text);
		output_write(&text);
	}
	output_flush();
	top->shown += is_new;
	return interrupted || (top->args->iterations && top->shown >= top->args->iterations);
}

void top_begin(struct top *top)
{
	if (top->on_screen || top->args->common.json)
		return;
	top->on_screen = terminal_open();
	top->look.limit = limit_of(top);
	if (top->on_screen)
		draw(top);
}

/* ---- keys ---- */

static void next_sort(struct top *top)
{
	top->sort = (top->sort + 1) % (ARRAY_SIZE(sorts) + 1);
	if (top->sort < ARRAY_SIZE(sorts) && streq(sorts[top->sort], top->own_sort))
		top->sort++;
	top->look.sort = top->sort < ARRAY_SIZE(sorts) ? sorts[top->sort] : top->own_sort;
	top->look.version++;
}

static void next_sides(struct top_look *look)
{
	if (!look->sides || look->sides == (VPMU_SIDES_GUEST | VPMU_SIDES_HOST))
		look->sides = VPMU_SIDES_GUEST;
	else
		look->sides = look->sides == VPMU_SIDES_GUEST ? VPMU_SIDES_HOST : 0;
}

static void change_interval(struct top_look *look, bool longer)
{
	uint64_t ns = longer ? look->interval_ns * 2 : look->interval_ns / 2;

	ns = MIN(MAX(ns, TOP_INTERVAL_MIN_NS), TOP_INTERVAL_MAX_NS);
	look->version += ns != look->interval_ns;
	look->interval_ns = ns;
}

/* True: quit. */
static bool press(struct top *top, int key)
{
	struct top_look *look = &top->look;

	if (look->help && key != 'q') {
		look->help = false;
		return false;
	}
	switch (key) {
	case 'q':
		return true;
	case 's':
		next_sort(top);
		break;
	case 'd':
		next_sides(look);
		break;
	case ' ':
		look->paused = !look->paused;
		break;
	case '+':
	case '-':
		change_interval(look, key == '+');
		break;
	case 'h':
	case '?':
		look->help = true;
		break;
	case 'Z' - '@':
		terminal_suspend();
		break;
	}
	return false;
}

/* What the user did; the picture follows at once. */
bool top_tick(struct top *top)
{
	unsigned int rows, columns;
	bool changed = false;
	int key;

	if (interrupted)
		return true;
	if (!top->on_screen)
		return false;
	while ((key = terminal_key())) {
		if (press(top, key))
			return true;
		changed = true;
	}
	terminal_size(&rows, &columns);
	if (rows != top->rows || columns != top->columns)
		top->look.limit = limit_of(top);
	if (changed || rows != top->rows || columns != top->columns)
		draw(top);
	return false;
}

/* ---- the command ---- */

static int watch(struct top *top, const struct name_list *operands, const struct vpmu_guests *guests,
		 struct vpmu_client **client, struct vpmu_error *reterr)
{
	const struct top_args *args = top->args;
	const struct top_request request = { operands, args->events, args->frequency_hz, args->side.sides,
					     &args->files };

	if (*client)
		return top_remote(top, &request, client, args->remote.socket, reterr);
	return top_local(top, &request, guests, reterr);
}

static void join_names(const struct name_list *names, struct strbuf *out)
{
	for (size_t i = 0; i < names->n; i++)
		strbuf_addf(out, "%s%s", i ? ", " : "", names->items[i]);
}

static enum status run_top(const void *opaque, const struct name_list *operands)
{
	const struct top_args *args = opaque;
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	_strbuf_ struct strbuf title = {};
	struct top top = { .args = args, .sort = ARRAY_SIZE(sorts) };
	struct vpmu_error error = {};
	enum status status;
	int r;

	if (args->interval_ns && (args->interval_ns < TOP_INTERVAL_MIN_NS || args->interval_ns > TOP_INTERVAL_MAX_NS))
		return say_usage("-d is 200ms to 60s");
	if (args->files.types.n && args->remote.socket)
		return say_usage("--guest-vmlinux is of what vpmu looks at by itself, without vpmud");
	status = args->files.types.n ? STATUS_DONE : remote_open(&args->remote, TOP_INTERVAL_MAX_NS / 1000000, &client);
	if (status != STATUS_DONE)
		return status;
	if (!client && vpmu_guests_new(NULL, &guests, &error) < 0)
		return say_error(&error);
	if (!operands->n)
		return client ? say_which_remote_guest(client) : say_which_guest(guests, "");
	join_names(operands, &title);
	top.title = title.text ? title.text : "";
	top.own_sort = args->sort ? args->sort : sorts[operands->n > 1];
	top.look = (struct top_look){ .sort = top.own_sort, .sides = args->side.sides,
				      .interval_ns = args->interval_ns ? args->interval_ns : 1000000000 };
	top.look.limit = limit_of(&top);
	interrupt_catch();
	r = watch(&top, operands, guests, &client, &error);
	terminal_close();
	if (r == -ESRCH) {
		say("the guests are gone");
		return top.shown ? STATUS_DONE : STATUS_FAILED;
	}
	if (r == -EINVAL)
		return say_usage("%s", error.text);
	return r < 0 ? say_error(&error) : STATUS_DONE;
}

const struct command command_top = {
	.name = "top",
	.summary = "show what runs now in guests, and for them in the host",
	.operands = "GUEST...",
	.groups = (const struct option_group[]){
		{ side_options, FIELD(side) },
		{ top_options, 0 },
		{ guest_types_options, FIELD(files) },
		{ remote_options, FIELD(remote) },
		{ common_options, 0 },
		{},
	},
	.args_bytes = sizeof(struct top_args),
	.run = run_top,
};

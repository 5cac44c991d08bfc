/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu doctor: what this host can do for a profiler, what is missing, how to get it. */
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/macro.h"
#include "command.h"
#include "json.h"
#include "json_read.h"
#include "output.h"
#include "remote.h"
#include "table.h"

DEFINE_CLEANUP(struct vpmu_host *, vpmu_host_free)

struct doctor_args {
	struct common_args common;
	struct remote_args remote;
};

/* An ability as it is printed, whoever tried it. */
struct line {
	const char *name, *status, *detail, *how;
	int code;
};

struct diagnosis {
	struct line lines[64];
	size_t n;
	const char *source, *why;
	struct json_object *vpmud; /* what vpmud says of itself, NULL if it was not asked */
};

static bool can_sample(const struct diagnosis *d)
{
	return !streq(d->source, "none");
}

static void print_json(const struct diagnosis *d)
{
	struct json_object *head = json_new_object();
	struct json_list list;

	json_put_bool(head, "ok", can_sample(d));
	json_put_string(head, "source", d->source);
	json_put_string(head, "why", d->why);
	if (d->vpmud)
		json_put(head, "vpmud", d->vpmud);
	json_list_begin(&list, head, "abilities");
	for (size_t i = 0; i < d->n; i++) {
		const struct line *line = &d->lines[i];
		struct json_object *item = json_new_object();

		json_put_string(item, "name", line->name);
		json_put_bool(item, "ok", streq(line->status, "ok"));
		json_put_int(item, "code", line->code);
		json_put_string(item, "detail", line->detail);
		json_put_string(item, "how", line->how);
		json_list_item(&list, item);
	}
	json_list_end(&list);
}

static void add_row(struct table *table, const struct line *line)
{
	table_cell(table, streq(line->status, "ok") ? TINT_GOOD : TINT_BAD, line->status);
	table_cell(table, TINT_NONE, line->name);
	if (line->how[0])
		table_cellf(table, TINT_NONE, "%s; how: %s", line->detail, line->how);
	else
		table_cell(table, TINT_NONE, line->detail);
}

static void print_text(const struct diagnosis *d)
{
	_table_ struct table table = {};
	_strbuf_ struct strbuf out = {};

	table_column(&table, "STATE", TABLE_LEFT);
	table_column(&table, "ABILITY", TABLE_LEFT);
	table_column(&table, "SEEN", TABLE_LEFT);
	for (size_t i = 0; i < d->n; i++) {
		add_row(&table, &d->lines[i]);
		table_measure_row(&table);
	}
	table_print_head(&table, &out);
	for (size_t i = 0; i < d->n; i++) {
		add_row(&table, &d->lines[i]);
		table_print_row(&table, &out);
	}
	strbuf_addf(&out, "sampling source: %s%s%s\n", d->source, d->why && *d->why ? ": " : "",
		    d->why ? d->why : "");
	output_write(&out);
}

static void ask_host(const struct vpmu_host *host, struct diagnosis *d)
{
	d->source = vpmu_source_name(vpmu_host_source(host, &d->why));
	for (int i = 0; i < VPMU_ABILITY_COUNT; i++) {
		const struct vpmu_ability_info *info = vpmu_host_ability(host, i);

		d->lines[d->n++] = (struct line){ info->name, info->ok ? "ok" : "missing", info->detail, info->how,
						  info->code };
	}
}

static void read_reply(struct json_object *reply, struct diagnosis *d)
{
	d->source = json_get_string(reply, "source");
	d->why = json_get_string_or_null(reply, "source_why");
	for (size_t i = 0; i < json_length(reply, "abilities") && d->n < ARRAY_SIZE(d->lines); i++) {
		struct json_object *item = json_item(reply, "abilities", i);

		d->lines[d->n++] = (struct line){ json_get_string(item, "name"), json_get_string(item, "status"),
						  json_get_string(item, "detail"), json_get_string(item, "hint"), 0 };
	}
	d->vpmud = json_new_object();
	json_put_string(d->vpmud, "version", json_get_string(reply, "version"));
	json_put_string(d->vpmud, "hostname", json_get_string(reply, "hostname"));
	json_put_string(d->vpmud, "kernel", json_get_string(reply, "kernel"));
	if (json_has(reply, "hardware_counters"))
		json_put_int(d->vpmud, "hardware_counters", json_get_int(reply, "hardware_counters", 0));
	if (json_has(reply, "free_counters"))
		json_put_int(d->vpmud, "free_counters", json_get_int(reply, "free_counters", 0));
}

/* What only vpmud knows. */
static void say_vpmud(struct json_object *reply)
{
	say("asked vpmud %s on %s; --local tries what this user can do without it", json_get_string(reply, "version"),
	    json_get_string(reply, "hostname"));
	if (json_has(reply, "hardware_counters"))
		say("hardware counters: %lld, of which %lld are free", (long long)json_get_int(reply, "hardware_counters", 0),
		    (long long)json_get_int(reply, "free_counters", 0));
}

static enum status run_doctor(const void *opaque, const struct name_list *operands)
{
	const struct doctor_args *args = opaque;
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	_cleanup_(vpmu_host_freep) struct vpmu_host *host = NULL;
	_reply_ struct json_object *reply = NULL;
	struct vpmu_error error = {};
	struct diagnosis d = {};
	enum status status;
	int r;

	(void)operands;
	status = remote_open(&args->remote, 0, &client);
	if (status != STATUS_DONE)
		return status;
	r = client ? remote_call(client, "Capabilities", NULL, &reply, &error) : vpmu_host_new(NULL, &host, &error);
	if (r < 0)
		return say_error(&error);
	if (client)
		read_reply(reply, &d);
	else
		ask_host(host, &d);
	if (args->common.json) {
		print_json(&d);
	} else {
		print_text(&d);
		json_put(NULL, "", d.vpmud); /* it was for JSON */
		if (client)
			say_vpmud(reply);
	}
	return can_sample(&d) ? STATUS_DONE : STATUS_FAILED;
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "show what this host can do for a profiler, and how to get what is missing",
	.groups = (const struct option_group[]){
		{ remote_options, offsetof(struct doctor_args, remote) },
		{ common_options, 0 },
		{},
	},
	.args_bytes = sizeof(struct doctor_args),
	.run = run_doctor,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu doctor: what this host can do for a profiler, what is missing, how to get it. */
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "command.h"
#include "json.h"
#include "output.h"
#include "table.h"

DEFINE_CLEANUP(struct vpmu_host *, vpmu_host_free)

struct doctor_args {
	struct common_args common;
};

static void print_json(const struct vpmu_host *host, enum vpmu_source source, const char *why)
{
	struct json_object *head = json_new_object();
	struct json_list list;

	json_put_bool(head, "ok", source != VPMU_SOURCE_NONE);
	json_put_string(head, "source", vpmu_source_name(source));
	json_put_string(head, "why", why);
	json_list_begin(&list, head, "abilities");
	for (int i = 0; i < VPMU_ABILITY_COUNT; i++) {
		const struct vpmu_ability_info *info = vpmu_host_ability(host, i);
		struct json_object *item = json_new_object();

		json_put_string(item, "name", info->name);
		json_put_bool(item, "ok", info->ok);
		json_put_int(item, "code", info->code);
		json_put_string(item, "detail", info->detail);
		json_put_string(item, "how", info->how);
		json_list_item(&list, item);
	}
	json_list_end(&list);
}

static void add_row(struct table *table, const struct vpmu_ability_info *info)
{
	table_cell(table, info->ok ? TINT_GOOD : TINT_BAD, info->ok ? "ok" : "missing");
	table_cell(table, TINT_NONE, info->name);
	if (info->how[0])
		table_cellf(table, TINT_NONE, "%s; how: %s", info->detail, info->how);
	else
		table_cell(table, TINT_NONE, info->detail);
}

static void print_text(const struct vpmu_host *host, enum vpmu_source source, const char *why)
{
	_table_ struct table table = {};
	_strbuf_ struct strbuf out = {};

	table_column(&table, "STATE", TABLE_LEFT);
	table_column(&table, "ABILITY", TABLE_LEFT);
	table_column(&table, "SEEN", TABLE_LEFT);
	for (int i = 0; i < VPMU_ABILITY_COUNT; i++) {
		add_row(&table, vpmu_host_ability(host, i));
		table_measure_row(&table);
	}
	table_print_head(&table, &out);
	for (int i = 0; i < VPMU_ABILITY_COUNT; i++) {
		add_row(&table, vpmu_host_ability(host, i));
		table_print_row(&table, &out);
	}
	strbuf_addf(&out, "sampling source: %s%s%s\n", vpmu_source_name(source), why && *why ? ": " : "",
		    why ? why : "");
	output_write(&out);
}

static enum status run_doctor(const void *opaque, const struct name_list *operands)
{
	const struct doctor_args *args = opaque;
	_cleanup_(vpmu_host_freep) struct vpmu_host *host = NULL;
	struct vpmu_error error = {};
	enum vpmu_source source;
	const char *why = NULL;

	(void)operands;
	if (vpmu_host_new(NULL, &host, &error) < 0)
		return say_error(&error);
	source = vpmu_host_source(host, &why);
	(args->common.json ? print_json : print_text)(host, source, why);
	return source == VPMU_SOURCE_NONE ? STATUS_FAILED : STATUS_DONE;
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "show what this host can do for a profiler, and how to get what is missing",
	.groups = (const struct option_group[]){ { common_options, 0 }, {} },
	.args_bytes = sizeof(struct doctor_args),
	.run = run_doctor,
};

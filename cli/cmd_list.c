/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu list: the guests of this host, and what can be profiled of each. */
#include <stdio.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "command.h"
#include "json.h"
#include "output.h"
#include "table.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)
DEFINE_CLEANUP(struct vpmu_host *, vpmu_host_free)

struct list_args {
	struct common_args common;
};

/*
 * Without a sampling source there is nothing to see. TCG translates the guest's code into QEMU's
 * own: the processor never is in a guest, so all time is the host's.
 */
static void what_can_be_profiled(const struct vpmu_guest_info *guest, enum vpmu_source source,
				 bool *ret_guest, bool *ret_host)
{
	*ret_host = source != VPMU_SOURCE_NONE;
	*ret_guest = *ret_host && guest->accel != VPMU_ACCEL_TCG;
}

static struct json_object *guest_to_json(const struct vpmu_guest_info *guest, enum vpmu_source source)
{
	struct json_object *object = json_new_object();
	struct json_object *vcpus = json_new_array(), *profile = json_new_array();
	bool of_guest, of_host;

	for (size_t i = 0; i < guest->n_vcpus; i++) {
		struct json_object *vcpu = json_new_object();

		json_put_int(vcpu, "index", guest->vcpus[i].index);
		json_put_int(vcpu, "tid", guest->vcpus[i].tid);
		json_append(vcpus, vcpu);
	}
	what_can_be_profiled(guest, source, &of_guest, &of_host);
	if (of_guest)
		json_append_string(profile, "guest");
	if (of_host)
		json_append_string(profile, "host");
	json_put_string(object, "name", guest->name);
	json_put_string(object, "uuid", guest->uuid);
	json_put_int(object, "pid", guest->pid);
	json_put_string(object, "accel", vpmu_accel_name(guest->accel));
	json_put_string(object, "state", NULL); /* only its monitor could tell a paused guest */
	json_put_null(object, "kernel"); /* known once guest memory is read */
	json_put(object, "vcpus", vcpus);
	json_put(object, "profile", profile);
	return object;
}

static void print_json(const struct vpmu_guests *guests, enum vpmu_source source)
{
	struct json_list list;

	json_list_begin(&list, NULL, "guests");
	for (size_t i = 0; i < vpmu_guests_count(guests); i++)
		json_list_item(&list, guest_to_json(vpmu_guests_get(guests, i), source));
	json_list_end(&list);
}

static void add_row(struct table *table, const struct vpmu_guest_info *guest, enum vpmu_source source)
{
	bool of_guest, of_host;

	what_can_be_profiled(guest, source, &of_guest, &of_host);
	table_cell(table, TINT_NONE, guest->name);
	table_cell(table, TINT_NONE, guest->uuid[0] ? guest->uuid : "-");
	table_cellf(table, TINT_NONE, "%d", guest->pid);
	table_cell_u64(table, TINT_NONE, guest->n_vcpus);
	table_cell(table, TINT_NONE, vpmu_accel_name(guest->accel));
	table_cell(table, TINT_NONE, "-");
	table_cell(table, TINT_NONE, of_guest ? "guest,host" : of_host ? "host" : "nothing");
}

static void print_table(const struct vpmu_guests *guests, enum vpmu_source source)
{
	_table_ struct table table = {};
	_strbuf_ struct strbuf out = {};

	table_column(&table, "NAME", TABLE_CUT_TAIL);
	table_column(&table, "UUID", TABLE_LEFT);
	table_column(&table, "PID", TABLE_RIGHT);
	table_column(&table, "VCPUS", TABLE_RIGHT);
	table_column(&table, "ACCEL", TABLE_LEFT);
	table_column(&table, "KERNEL", TABLE_LEFT);
	table_column(&table, "PROFILE", TABLE_LEFT);
	for (size_t i = 0; i < vpmu_guests_count(guests); i++) {
		add_row(&table, vpmu_guests_get(guests, i), source);
		table_measure_row(&table);
	}
	table_print_head(&table, &out);
	for (size_t i = 0; i < vpmu_guests_count(guests); i++) {
		add_row(&table, vpmu_guests_get(guests, i), source);
		table_print_row(&table, &out);
	}
	output_write(&out);
}

static enum status run_list(const void *opaque, const struct name_list *operands)
{
	const struct list_args *args = opaque;
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	_cleanup_(vpmu_host_freep) struct vpmu_host *host = NULL;
	struct vpmu_error error = {};
	enum vpmu_source source;

	(void)operands;
	if (vpmu_guests_new(NULL, &guests, &error) < 0 || vpmu_host_new(NULL, &host, &error) < 0)
		return say_error(&error);
	source = vpmu_host_source(host, NULL);
	if (args->common.json)
		print_json(guests, source);
	else if (vpmu_guests_count(guests))
		print_table(guests, source);
	if (!vpmu_guests_count(guests))
		say("no guests found (is a virtual machine running? if another user runs it, try as root)");
	else if (source == VPMU_SOURCE_NONE)
		say("nothing can be profiled here, 'vpmu doctor' tells why");
	return STATUS_DONE;
}

const struct command command_list = {
	.name = "list",
	.summary = "list the guests of this host",
	.groups = (const struct option_group[]){ { common_options, 0 }, {} },
	.args_bytes = sizeof(struct list_args),
	.run = run_list,
};
